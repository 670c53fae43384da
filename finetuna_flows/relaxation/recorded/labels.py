"""Energies and forces that a file keeps under names other than ASE's.

ASE's readers take ``energy`` and ``forces`` from a frame into its calculator; whatever is called
otherwise (``REF_energy``, ``dft_forces``) stays among the frame's info and arrays, or a row's
key-value pairs and data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array

QUANTITIES = ("energy", "forces", "free_energy")
"""What may be called otherwise; the free energy only where it is said."""
NEEDED = ("energy", "forces")
FREE_ENERGY_KEYS = ("free_energy", "free_energy_vasp")
"""Where in a frame's info the free energy is looked for if the calculator has none."""
OF_GEOMETRY = frozenset({"numbers", "positions", "tags", "momenta", "masses", "initial_magmoms"})
"""Arrays that label nothing."""
ENERGY = re.compile(r"energy|energ(?=_|$)|(?<![a-z])(e0|e_?tot|toten)(?![a-z])", re.IGNORECASE)
FORCES = re.compile(r"forces?(?![a-z])", re.IGNORECASE)
OTHER = re.compile(r"per_?atom|formation|kinetic|adsorption|free|rmse|mae|std|error", re.IGNORECASE)
"""Words in names of numbers that are no total energy and no forces."""


class UnlabelledError(ParentError):
    """Structures alone: nothing that could be a label is there under any name."""


def parse_label_keys(words: str) -> dict[str, str]:
    """Split ``energy=REF_energy,forces=REF_forces``; either may be left out.

    Raises
    ------
    ValueError
        If a part is not of that form, or says of anything else what it is called.
    """
    keys: dict[str, str] = {}
    for part in words.split(","):
        quantity, _, key = (each.strip() for each in part.partition("="))
        if not key or quantity in keys:
            raise ValueError(
                f"--keys is {words!r} but must be like energy=REF_energy,forces=REF_forces: what "
                "the file calls them"
            )
        keys[quantity] = key
    return keys


def check_label_keys(keys: Mapping[str, str] | None) -> None:
    """Refuse names of what is no label, and empty ones.

    Raises
    ------
    ValueError
        If there are any.
    """
    for quantity, key in (keys or {}).items():
        if quantity not in QUANTITIES:
            raise ValueError(
                f"--keys says what {quantity!r} is called but it can say that of "
                f"{', '.join(QUANTITIES)}"
            )
        if not key.strip():
            raise ValueError(f"--keys calls the {quantity} {key!r} but must say a name")


def relabelled(atoms: Atoms, keys: Mapping[str, str], where: str) -> Atoms:
    """Copy whose calculator holds what the file keeps under `keys`, as eV and eV/Å.

    What is not named in `keys` stays as it is, but for a free energy beside an energy from
    elsewhere: that is another calculation's.

    Raises
    ------
    ParentError
        If one of them is missing.
    """
    kept = kept_values(atoms)
    copy: Atoms = atoms.copy()
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    if "energy" in keys:
        results.pop("free_energy", None)
        copy.info = {key: each for key, each in copy.info.items() if key not in FREE_ENERGY_KEYS}
    for quantity, key in keys.items():
        if key not in kept:
            raise ParentError(f"{where} has no {key!r} for the {quantity} (it has: {_told(kept)})")
        results[quantity] = kept[key]
    copy.calc = SinglePointCalculator(copy, **results)
    copy.calc.name = getattr(atoms.calc, "name", copy.calc.name)
    return copy


def kept_values(atoms: Atoms) -> dict[str, object]:
    """All that a frame holds beside its geometry, by name."""
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    arrays = {key: each for key, each in atoms.arrays.items() if key not in OF_GEOMETRY}
    return {**results, **atoms.info, **arrays}


def missing_labels(atoms: Atoms, where: str) -> ParentError | None:
    """Why a frame has no label: what is missing, what is there, and how to say which is which."""
    results = atoms.calc.results if atoms.calc is not None else {}
    missing = [name for name in NEEDED if results.get(name) is None]
    if not missing:
        return None
    kept = kept_values(atoms)
    said = f"{where} has no {missing[0]} (it has: {_told(kept)})"
    offers = _offers(kept, missing, len(atoms))
    if offers:
        said += f"; if they are kept under other names, in eV and eV/Å, say {' or '.join(offers)}"
    return ParentError(said)


def holds_no_label(atoms: Atoms) -> bool:
    """Whether neither energy nor forces are there, nor numbers that may be meant by them."""
    results = atoms.calc.results if atoms.calc is not None else {}
    known = any(results.get(name) is not None for name in NEEDED)
    return not known and not _offers(kept_values(atoms), [*NEEDED], len(atoms))


def _told(kept: Mapping[str, object]) -> str:
    return ", ".join(map(str, kept)) or "nothing"


def _offers(kept: Mapping[str, object], missing: list[str], n_atoms: int) -> list[str]:
    """The options that would name what is missing, energies and forces of one affix together."""
    found = {
        "energy": [key for key, each in kept.items() if _is_energy(key, each)],
        "forces": [key for key, each in kept.items() if _is_forces(key, each, n_atoms)],
    }
    if any(not found[name] for name in missing):
        return []
    if len(missing) == 1:
        (name,) = missing
        return [f"--keys {name}={key}" for key in found[name]]
    pairs = [
        (energy, forces)
        for energy in found["energy"]
        for forces in found["forces"]
        if _affix(energy) == _affix(forces)
    ]
    pairs = pairs or [(found["energy"][0], found["forces"][0])]
    return [f"--keys energy={energy},forces={forces}" for energy, forces in pairs]


def _affix(key: str) -> str:
    return re.sub(r"[\W_]", "", FORCES.sub("", ENERGY.sub("", key))).lower()


def _is_energy(key: str, value: object) -> bool:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return is_number and bool(ENERGY.search(key)) and not OTHER.search(key)


def _is_forces(key: str, value: object, n_atoms: int) -> bool:
    return _shape(value) == (n_atoms, 3) and bool(FORCES.search(key)) and not OTHER.search(key)


def _shape(value: object) -> tuple[int, ...]:
    try:
        array: Array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return ()
    return array.shape
