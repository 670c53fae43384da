"""Which atoms are the adsorbate: what the tags say, and whether it looks like one.

Tags of OC20 are 0 for fixed and 1 for free atoms of the slab and 2 for the adsorbate. Builders of
slabs give other tags, above all the number of the layer, and 2 is a layer of the slab then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from ase import Atoms

from finetuna_flows.axis import surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.exposure import is_exposed
from finetuna_flows.structures.networks import periodic_directions
from finetuna_flows.structures.surface import heights, layers

ADSORBATE_FROM = "adsorbate_from"
"""Key of ``atoms.info``: `NAMED`, or why the tags that the atoms had before name no adsorbate."""
NAMED = "named"
"""The user, or what put the adsorbate there, has named its atoms, which are tagged 2."""
UNTAGGED = "no atom has the tag 2"
MOLECULAR = frozenset({"H", "B", "C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"})
"""Elements that sheets of adsorbed molecules and graphene are made of; with others in it, a sheet
that is bonded through is a layer of the slab."""

SAME_SHARE = 0.75
"""Share of their atoms that two layers have in common where a few atoms are replaced."""


class Tag(IntEnum):
    """What an atom is, by the convention of the Open Catalyst Project's OC20."""

    SUBSURFACE = 0
    SURFACE = 1
    ADSORBATE = 2


@dataclass(frozen=True)
class Adsorbate:
    """The atoms of the adsorbate, and what that rests on."""

    indices: tuple[int, ...]
    """None where no adsorbate is known."""
    reason: str
    """By what it is known, or why not."""
    hint: tuple[int, ...] = ()
    """Atoms that may be meant where none is known."""
    doubted: bool = False
    """Whether the atoms have tags that could name an adsorbate, and are not believed."""

    def sentence(self, atoms: Atoms) -> str:
        """The same in words, of the atoms that it was found in."""
        if not self.indices:
            meant = f"; perhaps it is {_said(atoms, self.hint)}" if self.hint else ""
            return f"no adsorbate is assumed: {self.reason}{meant}"
        return f"adsorbate {_said(atoms, self.indices)}, {self.reason}"


def find_adsorbate(atoms: Atoms) -> Adsorbate:
    """The atoms tagged 2, if they were named as the adsorbate or look like one.

    They do not where the tags count layers, where they are all fixed, where they are a layer of
    the slab (by its elements and numbers of atoms, or since they are a metal bonded through the
    cell), or where all lie within the slab.
    """
    tags = atoms.get_tags()
    found = np.flatnonzero(tags == Tag.ADSORBATE)
    indices = tuple(found.tolist())
    said = atoms.info.get(ADSORBATE_FROM)
    if said == NAMED:
        doubt = _doubt(atoms, indices) if indices else ""
        named = "named as such" if indices else "none is named"
        return Adsorbate(indices, f"{named}, although {doubt}" if doubt else named)
    if len(tags) and not set(tags.tolist()) <= {*Tag}:
        words = f"the tags from {tags.min()} to {tags.max()} are not OC20's but count layers"
        added = tuple(np.flatnonzero(tags == 0).tolist())  # ASE's add_adsorbate gives 0
        hint = added if added and not _doubt(atoms, added) else ()
        return Adsorbate((), words, hint, doubted=True)
    if not indices:
        earlier = said if isinstance(said, str) else ""
        return Adsorbate((), earlier or UNTAGGED, doubted=bool(earlier) and earlier != UNTAGGED)
    doubt = _doubt(atoms, indices)
    return Adsorbate((), doubt, doubted=True) if doubt else Adsorbate(indices, "tagged 2")


def tagged_adsorbate(atoms: Atoms) -> list[int]:
    """Indices of the adsorbate; none where the tags do not tell, see `find_adsorbate`."""
    return list(find_adsorbate(atoms).indices)


def _doubt(atoms: Atoms, indices: Sequence[int]) -> str:
    """Why these atoms do not look like an adsorbate; empty if they do."""
    members = np.asarray(indices)
    rest = np.setdiff1d(np.arange(len(atoms)), members)
    several = len(members) > 1
    tagged = f"{_said(atoms, indices)} tagged 2"
    if not free_components(atoms)[members].any():
        return f"{tagged} {'are all' if several else 'is'} fixed"
    if _is_metal_sheet(atoms[members]):
        return f"{tagged} is metal bonded through the cell, as a layer of the slab is"
    if not len(rest):
        return ""
    formula = Counter(atoms.symbols[members])
    tags = atoms.get_tags()[rest]
    for tag in sorted(set(tags.tolist())):
        if _alike(formula, Counter(atoms.symbols[rest[tags == tag]])):
            return f"{tagged} is as much as is tagged {tag}, so that the tags count layers"
    try:
        axis = surface_axis(atoms, indices)
    except StructureError:
        return ""  # no surface that it could lie within
    number = layers(heights(atoms[rest], axis))
    usual = float(np.median(np.bincount(number)))
    if len(members) >= usual and _reduced(formula) == _reduced(Counter(atoms.symbols[rest])):
        return f"{tagged} is a layer of the slab, whose layers have {usual:g} atoms each"
    if not any(is_exposed(atoms, index, rest, axis) for index in members):
        return f"{tagged} {'lie' if several else 'lies'} within the slab"
    return ""


def _alike(one: Counter[str], other: Counter[str]) -> bool:
    """Whether two groups of atoms may be two layers of one slab, some atoms perhaps replaced."""
    if one == other:
        return True
    if one.total() == 1 or one.total() != other.total():
        return False
    return not set(one) & MOLECULAR or (one & other).total() >= SAME_SHARE * one.total()


def _is_metal_sheet(part: Atoms) -> bool:
    if not set(part.symbols) - MOLECULAR:
        return False
    return periodic_directions(part) >= 2


def _reduced(formula: Counter[str]) -> dict[str, int]:
    divisor = int(np.gcd.reduce(list(formula.values())))
    return {symbol: count // divisor for symbol, count in formula.items()}


def _said(atoms: Atoms, indices: Sequence[int]) -> str:
    numbers = ", ".join(map(str, indices[:8])) + (", …" if len(indices) > 8 else "")
    noun = "atom" if len(indices) == 1 else "atoms"
    return f"{atoms[list(indices)].get_chemical_formula('hill')} ({noun} {numbers})"
