"""Refusals before any work: what cannot be relaxed, and elements that nobody knows."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list

from finetuna_flows.errors import ElementError, StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.ties import order_by

OVERLAP_FRACTION = 0.5
"""Of the sum of two covalent radii (Cordero et al., Dalton Trans. 2832 (2008), as in ASE). Atoms
closer than this overlap. Even the shortest bonds are longer: 1.68 Å in Cr2 is 0.60."""

FLAT = 1e-6
"""Volume of the periodic cell vectors, relative to their lengths' product, that counts as none."""
EQUALLY_CLOSE = 1e-6
"""Of the sum of covalent radii; of pairs that differ by less the first atoms are named."""


def check_structure(atoms: Atoms) -> None:
    """Refuse what cannot be relaxed.

    Raises
    ------
    StructureError
        If there are no atoms, an atom is of no element (ASE's X), coordinates are not finite,
        periodic cell vectors span no volume, atoms overlap, a constraint is not supported, or
        nothing is free to move.
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms but needs at least one")
    dummies = np.flatnonzero(atoms.numbers == 0)
    if len(dummies):
        raise StructureError(
            f"atom {dummies[0]} is X ({len(dummies)} of {len(atoms)}) but must be a chemical "
            "element; the file names one that ASE does not know"
        )
    _check_finite(atoms)
    _check_cell(atoms)
    _check_overlap(atoms)
    if not free_components(atoms).any():
        raise StructureError(
            f"all {len(atoms)} atoms are fixed but at least one must be free to move"
        )


def check_elements(
    atoms: Atoms,
    surrogate: frozenset[str] | None,
    parent: frozenset[str] | None,
    *,
    surrogate_name: str,
    parent_name: str,
) -> None:
    """Refuse elements that the surrogate or the parent does not know, both in one error.

    Parameters
    ----------
    atoms
        The structure to be relaxed.
    surrogate, parent
        Symbols that each knows; None where that cannot be known beforehand.
    surrogate_name, parent_name
        What to call them.

    Raises
    ------
    ElementError
        Names the missing elements of each side, and what each side knows.
    """
    sides = [("surrogate", surrogate_name, surrogate), ("parent", parent_name, parent)]
    present = set(atoms.get_chemical_symbols())
    if not any(known is not None and present - known for _, _, known in sides):
        return
    verdicts = []
    for role, name, known in sides:
        if known is None:
            verdicts.append(f"the {role} {name} does not say beforehand what it knows")
            continue
        missing = ", ".join(_sorted(present - known))
        lacks = f"lacks {missing}" if missing else "lacks none of them"
        verdicts.append(f"the {role} {name} {lacks} (it knows {abbreviate(known)})")
    raise ElementError(
        f"{atoms.symbols} holds elements that are not known: {'; '.join(verdicts)}; "
        "choose another surrogate or parent"
    )


def abbreviate(symbols: frozenset[str]) -> str:
    """All `symbols` in the order of the periodic table, runs of three and more as H-Ar."""
    numbers = [atomic_numbers[symbol] for symbol in _sorted(symbols)]
    words: list[str] = []
    for _, run in groupby(enumerate(numbers), lambda item: item[1] - item[0]):
        members = [chemical_symbols[number] for _, number in run]
        words += [f"{members[0]}-{members[-1]}"] if len(members) > 2 else members
    return ", ".join(words) or "no element"


def _sorted(symbols: set[str] | frozenset[str]) -> list[str]:
    return sorted(symbols, key=atomic_numbers.__getitem__)


def _check_finite(atoms: Atoms) -> None:
    broken = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(broken):
        position = atoms.positions[broken[0]].tolist()
        raise StructureError(
            f"atom {broken[0]} ({atoms.symbols[broken[0]]}) is at {position} "
            "but coordinates must be finite"
        )
    if not np.isfinite(atoms.cell).all():
        raise StructureError(f"the cell is {atoms.cell.tolist()} but must be finite")


def _check_cell(atoms: Atoms) -> None:
    vectors = np.asarray(atoms.cell)[atoms.pbc]
    lengths = np.linalg.norm(vectors, axis=1)
    volume = np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)) if len(vectors) else 1.0
    if not volume > FLAT * np.prod(lengths):
        raise StructureError(
            f"the periodic cell vectors {vectors.tolist()} span no volume; give a cell or switch "
            "the periodicity off"
        )


def _check_overlap(atoms: Atoms) -> None:
    reach = OVERLAP_FRACTION * covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list("ijd", atoms, reach)
    if not len(distance):
        return
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = order_by([distance / (reach[first] + reach[second]), low, high], EQUALLY_CLOSE)
    worst = int(order[0])
    i, j = int(low[worst]), int(high[worst])
    where = f"atom {i} ({atoms.symbols[i]}) and "
    where += "its own periodic image" if i == j else f"atom {j} ({atoms.symbols[j]})"
    raise StructureError(
        f"{where} are {distance[worst]:.3f} Å apart but must be at least "
        f"{reach[i] + reach[j]:.3f} Å, {OVERLAP_FRACTION:g} of the sum of their covalent radii"
    )
