"""The parent's own record: a label is on its disk before it is sent, in case nobody is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from finetuna_flows.colocation.structure import encode_structure
from finetuna_flows.encoding import decode_label, encode_label
from finetuna_flows.geometry import Array
from finetuna_flows.journal import Journal, Json, rename_aside
from finetuna_flows.records import Label

NAME = "labels.jsonl"
SAME_GEOMETRY = 1e-9
"""Å; positions travel in Bohr and come back with rounding alone."""


@dataclass(frozen=True)
class _Known:
    """A geometry, and what was answered."""

    cell: Array
    positions: Array
    label: Label

    @classmethod
    def read(cls, record: dict[str, Any]) -> _Known:
        """From the journal."""
        cell, positions = np.array(record["cell"]), np.array(record["positions"])
        return cls(cell, positions, decode_label(record["label"]))

    def is_at(self, atoms: Atoms) -> bool:
        """Whether the geometry is this one, but for rounding."""
        return bool(
            self.positions.shape == atoms.positions.shape
            and (abs(self.cell - atoms.cell.array) <= SAME_GEOMETRY).all()
            and (abs(self.positions - atoms.positions) <= SAME_GEOMETRY).all()
        )


class KeptLabels:
    """What a parent has answered in one folder, for one structure at one level of theory.

    Parameters
    ----------
    directory
        Of the parent.
    level
        Of theory. A record of another level, or of another structure, is set aside.
    structure
        Whose geometries are labelled.

    Raises
    ------
    CheckpointError
        If the record is damaged, or cannot be written.
    """

    def __init__(self, directory: Path, level: str, structure: Atoms) -> None:
        self._journal = Journal(directory / NAME)
        of: Json = {"kind": "of", "level": level, "structure": encode_structure(structure)}
        records = self._journal.read()
        if records and records[0] != of:
            rename_aside(self._journal.path)
            records = []
        self._known = [_Known.read(each) for each in records[1:]]
        if self._journal.open():
            self._journal.append(of)

    def find(self, atoms: Atoms) -> Label | None:
        """The answer at this geometry, in an earlier try or this one; None if there is none.

        One of this try has cost its SCF cycles already, and costs none again.
        """
        return next((each.label for each in self._known if each.is_at(atoms)), None)

    def keep(self, atoms: Atoms, label: Label) -> None:
        """Put an answer on disk.

        Raises
        ------
        CheckpointError
            If the disk refuses.
        """
        record: Json = {
            "kind": "label",
            "cell": np.asarray(atoms.cell).tolist(),
            "positions": atoms.positions.tolist(),
            "label": encode_label(label),
        }
        self._journal.append(record)
        again = replace(label, scf_cycles=None if label.scf_cycles is None else 0)
        self._known.append(_Known(atoms.cell.array.copy(), atoms.positions.copy(), again))

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
