"""A parent that takes its time, notes what it is asked, and can be held: `engine.py:make`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators import emt
from ase.calculators.calculator import all_changes

from tests.fakes.colocated_parts import phases
from tests.fakes.colocated_parts.phases import Phases

PAUSE = 0.08
"""Seconds a label takes."""
BAD = "bad-parent"
"""A file of this name in the folder of the notes makes the parent refuse to be built."""


class NotingEMT(emt.EMT):
    """EMT whose labels and whose end can be seen."""

    def __init__(self, notes: Phases) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._notes = notes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Note, wait, compute, note."""
        assert atoms is not None
        self._notes.note(phases.BEGUN, atoms)
        self._notes.enter(phases.LABELLING)
        time.sleep(PAUSE)
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self._notes.note(phases.FINISHED, atoms)

    def close(self) -> None:
        """As an engine that writes its files in the end."""
        self._notes.enter(phases.CLOSING)


def make(notes: str) -> NotingEMT:
    """Make the calculator; `notes` is the absolute path of a folder."""
    found = Phases(Path(notes))
    found.enter(phases.PARENT_STARTS)
    if (Path(notes) / BAD).exists():
        raise ValueError("the engine is not installed here")
    made = NotingEMT(found)
    found.enter(phases.PARENT_BUILT)
    return made
