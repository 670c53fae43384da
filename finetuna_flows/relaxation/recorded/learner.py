"""Rows that FINETUNA's online learner leaves in an ASE database, with forces as text.

A row is one geometry. ``ml_energy`` and ``ml_forces`` are what the network said before anything was
asked, ``parent_energy`` and ``parent_forces`` what VASP said, or ``-``; ``retrained_forces`` what
the network said there after it had been trained on that label. Arrays are written as numpy prints
them. The network's energies are on a scale of their own (OC20's adsorption energies) from the
first row to the last; no constant is added here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.geometry import Array, free_components, rms
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, FitReport, Label, Prediction
from finetuna_flows.relaxation.recorded.record import Record

T = TypeVar("T")

COLUMNS = ("ml_energy", "ml_forces", "parent_energy", "parent_forces")
"""By these a row is known to be one of the learner's."""
NOTHING = "-"
"""What stands where there is no value."""
TUNER = "online learner"


def is_of_learner(keys: Mapping[str, object]) -> bool:
    """Whether a row with these keys is one of FINETUNA's online learner."""
    return all(column in keys for column in COLUMNS)


def learner_record(atoms: Atoms, keys: Mapping[str, Any], where: str, since: float) -> Record:
    """Turn a row into a record; a part that is damaged is left out and told.

    Parameters
    ----------
    atoms
        The geometry of the row.
    keys
        Its columns.
    where
        As `Record.where`.
    since
        Seconds since the row before it was written, when that step had ended. What neither the
        parent nor the training took of it cannot be told apart.

    Raises
    ------
    ParentError
        If nothing is left of it.
    """
    row = _Row(keys, len(atoms), where)
    prediction = row.part(lambda: _prediction(row))
    label = row.part(lambda: _label(row))
    fit = None
    if label is not None and prediction is not None:
        said, truth = prediction.forces, label.forces
        fit = row.part(lambda: _fit(row, said, truth, atoms))
    if label is None and prediction is None:
        raise ParentError("; ".join(row.damaged) or f"{where} has neither prediction nor label")
    checked = str(keys.get("check")) in ("True", "1", "1.0")
    reason = QueryReason.RELAXED if checked else QueryReason.CUSTOM
    return Record(
        where=where,
        atoms=atoms,
        decision=Decision((reason,) if label is not None else ()),
        label=label,
        prediction=prediction,
        fit=fit,
        wall_time=max(since, 0.0),
        damaged=tuple(row.damaged),
    )


def _prediction(row: _Row) -> Prediction | None:
    energy, forces = row.number("ml_energy"), row.forces("ml_forces")
    return None if energy is None or forces is None else Prediction(energy, forces)


def _label(row: _Row) -> Label | None:
    energy, forces = row.number("parent_energy"), row.forces("parent_forces")
    if energy is None or forces is None:
        return None
    return Label(energy, forces, wall_time=row.number("parent_time") or 0.0)


def _fit(row: _Row, before: Array, truth: Array, atoms: Atoms) -> FitReport | None:
    """The errors are those of this label alone: on it the network was trained."""
    after, free = row.forces("retrained_forces"), free_components(atoms)
    if after is None:
        return None
    return FitReport(
        tuner=TUNER,
        n_frames=1,
        force_rmse_before=rms(before - truth, free),
        force_rmse_after=rms(after - truth, free),
        wall_time=row.number("training_time") or 0.0,
    )


@dataclass
class _Row:
    """Columns of a row as numbers; what goes wrong is written down."""

    keys: Mapping[str, Any]
    n_atoms: int
    where: str
    damaged: list[str] = field(default_factory=list)

    def part(self, read: Callable[[], T | None]) -> T | None:
        """What `read` returns; None where it is damaged."""
        try:
            return read()
        except FinetunaError as exc:
            told = str(exc)
            self.damaged.append(told if told.startswith(self.where) else f"{self.where}: {told}")
            return None

    def number(self, column: str) -> float | None:
        """A number; None where there is none."""
        value = self.keys.get(column, NOTHING)
        if value == NOTHING:
            return None
        try:
            found = float(value)
        except (TypeError, ValueError):
            raise ParentError(f"{self.where}: `{column}` is {value!r}, no number") from None
        if not np.isfinite(found):
            raise ParentError(f"{self.where}: `{column}` is {found}, no finite number")
        return found

    def forces(self, column: str) -> Array | None:
        """An array of shape (n, 3) from its text; None where there is none."""
        text = self.keys.get(column, NOTHING)
        if text == NOTHING:
            return None
        if "..." in str(text):
            raise ParentError(
                f"{self.where}: `{column}` is cut by '...', as numpy prints a long array"
            )
        words = str(text).replace("[", " ").replace("]", " ").split()
        if len(words) != 3 * self.n_atoms:
            raise ParentError(
                f"{self.where}: `{column}` has {len(words)} numbers but {self.n_atoms} atoms need "
                f"{3 * self.n_atoms}"
            )
        try:
            return np.array(words, dtype=np.float64).reshape(-1, 3)
        except ValueError as exc:
            raise ParentError(f"{self.where}: `{column}` cannot be read: {exc}") from None
