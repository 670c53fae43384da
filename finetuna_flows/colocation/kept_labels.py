"""The parent's own record: a label is on its disk before it is sent, in case nobody is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from finetuna_flows.colocation.structure import encode_structure
from finetuna_flows.encoding import decode_label, encode_label
from finetuna_flows.journal import Journal, Json, rename_aside
from finetuna_flows.records import Label

NAME = "labels.jsonl"
SAME_GEOMETRY = 1e-9
"""Å; positions travel in Bohr and come back with rounding alone."""


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
        self._known: list[Json] = []
        of: Json = {"kind": "of", "level": level, "structure": encode_structure(structure)}
        records = self._journal.read()
        if records and records[0] != of:
            rename_aside(self._journal.path)
            records = []
        self._known = records[1:]
        if self._journal.open():
            self._journal.append(of)

    def find(self, atoms: Atoms) -> Label | None:
        """The answer that an earlier try gave at this geometry; None if there is none."""
        for record in self._known:
            known: dict[str, Any] = record
            same_cell = np.allclose(known["cell"], atoms.cell, rtol=0, atol=SAME_GEOMETRY)
            if same_cell and np.allclose(
                known["positions"], atoms.positions, rtol=0, atol=SAME_GEOMETRY
            ):
                return decode_label(known["label"])
        return None

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

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
