"""What the two halves of a run are doing, as files that a test reads, and gates that it shuts."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

REACHED, BEGUN, FINISHED = "reached.txt", "begun.jsonl", "finished.jsonl"
LEARNER_STARTS, PARENT_STARTS, PARENT_BUILT = "learner-starts", "parent-starts", "parent-built"
LABELLING, TUNING, CLOSING = "labelling", "tuning", "closing"
GATE_PATIENCE = 60.0
"""Seconds after which a shut gate opens by itself: a test that forgot it must end."""
LOOK = 0.005
"""Seconds between two looks at a gate."""


@dataclass(frozen=True)
class Phases:
    """Notes of one run in one folder."""

    folder: Path

    def enter(self, phase: str) -> None:
        """Note that a phase begins, and stay in it as long as its gate is shut."""
        _append(self.folder / REACHED, phase)
        number = self.count(phase)
        deadline = time.monotonic() + GATE_PATIENCE
        while self._is_shut(phase, number) and time.monotonic() < deadline:
            time.sleep(LOOK)

    def count(self, phase: str) -> int:
        """How often it has begun."""
        return _lines(self.folder / REACHED).count(phase)

    def shut(self, phase: str, nth: int = 1) -> None:
        """Hold whoever enters a phase, from the so manyth time on."""
        (self.folder / f"shut-{phase}-{nth}").touch()

    def open(self) -> None:
        """Let everybody go on."""
        for gate in self.folder.glob("shut-*"):
            gate.unlink()

    def note(self, name: str, atoms: Atoms) -> None:
        """Note a geometry, on disk before this returns."""
        _append(self.folder / name, json.dumps(atoms.positions.tolist()))

    def noted(self, name: str) -> list[list[list[float]]]:
        """Positions in Å, each (n, 3), in the order of the notes."""
        return [json.loads(line) for line in _lines(self.folder / name)]

    def _is_shut(self, phase: str, number: int) -> bool:
        gates = self.folder.glob(f"shut-{phase}-*")
        return any(int(each.name.rpartition("-")[2]) <= number for each in gates)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> list[str]:
    """Whole lines; the last one may be torn."""
    if not path.exists():
        return []
    return [each[:-1] for each in path.read_text().splitlines(keepends=True) if each[-1] == "\n"]
