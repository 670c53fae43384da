"""One geometry as a file holds it, with what was said of it there."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, FitReport, Label, Prediction
from finetuna_flows.relaxation.recorded.labels import FREE_ENERGY_KEYS, missing_labels

LARGEST = 1e9
"""Å and eV/Å; what is larger comes of a damaged byte, and its square may overflow."""
UNKNOWN = "unknown"
"""What ASE calls a calculator whose name a file does not keep."""


@dataclass(frozen=True)
class Record:
    """One geometry, whole enough to be a step of a relaxation."""

    where: str
    """The file, and which of its frames or rows."""
    atoms: Atoms
    """With constraints and tags where the file has them."""
    decision: Decision = field(default_factory=Decision)
    """Why the parent was asked, if it was."""
    label: Label | None = None
    """What the parent said."""
    prediction: Prediction | None = None
    """What a surrogate said, on whichever scale of energies the file has."""
    fit: FitReport | None = None
    """What was learned there."""
    wall_time: float = 0.0
    """Seconds spent on it; 0 where the file does not say."""
    calculator: str = UNKNOWN
    """What the file calls the one that computed it."""
    damaged: tuple[str, ...] = ()
    """What else the file says of it, but so that it cannot be read."""


@dataclass(frozen=True)
class Entry:
    """A place in a file where a geometry is kept."""

    where: str
    """As `Record.where`."""
    keys: Mapping[str, object] | None
    """What tells relaxations apart, such as ``method``; None where that is damaged."""
    atoms: Callable[[], Atoms]
    """Read the geometry, with its calculator. Raises ParentError where it is damaged."""
    record: Callable[[Collection[str]], Record]
    """Read all of it; calculators of these names are surrogates. Raises ParentError."""


@dataclass(frozen=True)
class Contents:
    """What a file holds, in its order; nothing large is read yet."""

    entries: tuple[Entry, ...]
    damaged: tuple[str, ...] = ()
    """Parts that are no entries because they are damaged, in words."""


def entry_of(where: str, keys: Mapping[str, object] | None, atoms: Callable[[], Atoms]) -> Entry:
    """An entry whose energy and forces are its calculator's."""
    return Entry(where, keys, atoms, lambda surrogates: record_of(atoms(), where, surrogates))


def record_of(atoms: Atoms, where: str, surrogates: Collection[str] = ()) -> Record:
    """Take energy and raw forces from the calculator that a file gave its geometry.

    Parameters
    ----------
    atoms
        With a calculator that only remembers.
    where
        As `Record.where`.
    surrogates
        Names of calculators whose word is a prediction; that of all others is a label.

    Raises
    ------
    ParentError
        If energy or forces are missing, or anything is not a finite number.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    calculator = str(getattr(atoms.calc, "name", UNKNOWN))
    missing = missing_labels(atoms, where)
    if missing is not None:
        raise missing
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ParentError(f"{where} has positions or a cell that are not finite numbers")
    if not all(0 <= each < len(chemical_symbols) for each in atoms.numbers):
        raise ParentError(f"{where} has atomic numbers that are of no element")
    energy, forces = float(results["energy"]), shaped(results["forces"], len(atoms), where)
    sizes = [abs(each).max(initial=0.0) for each in (atoms.positions, atoms.cell.array, forces)]
    if LARGEST < max(sizes) < math.inf:
        raise ParentError(
            f"{where} has positions, a cell or forces beyond {LARGEST:g} Å or eV/Å; it is damaged"
        )
    predicted = calculator in surrogates
    try:
        return Record(
            where=where,
            atoms=atoms,
            calculator=calculator,
            decision=Decision(() if predicted else (QueryReason.PARENT_DRIVEN,)),
            prediction=Prediction(energy, forces) if predicted else None,
            label=None if predicted else Label(energy, forces, _free_energy(atoms, results)),
        )
    except (FinetunaError, TypeError, ValueError) as exc:
        raise ParentError(f"{where}: {exc}") from exc


def shaped(forces: object, n_atoms: int, where: str) -> Array:
    """Forces as an array of shape (n, 3).

    Raises
    ------
    ParentError
        If they are not of that shape.
    """
    array = np.asarray(forces, dtype=np.float64)
    if array.shape != (n_atoms, 3):
        raise ParentError(f"{where} has forces of shape {array.shape} for {n_atoms} atoms")
    return array


def _free_energy(atoms: Atoms, results: Mapping[str, object]) -> float | None:
    found = [results.get("free_energy"), *(atoms.info.get(key) for key in FREE_ENERGY_KEYS)]
    said = [each for each in found if each is not None]
    return float(str(said[0])) if said else None
