"""A relaxation in a process of its own, slow enough to be killed: `slow_relaxation.py METHOD DIR`.

Writes every geometry that the parent begins to label to ``asked.txt`` in DIR, and ``ready`` as soon
as the run is under way.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from ase import Atoms

from finetuna_flows.parents.ase_engine import AseParent
from finetuna_flows.records import Label
from tests.relaxation.parts import METHODS
from tests.systems import EMT, oxygen_on_copper

PAUSE = 0.08
"""Seconds a label takes."""


class SlowParent(AseParent):
    """EMT that takes its time and notes what it was asked before it answers."""

    def label(self, atoms: Atoms) -> Label:
        """Note, wait, answer."""
        with Path("asked.txt").open("a") as asked:
            asked.write(geometry_key(atoms.positions.tolist()) + "\n")
            asked.flush()
            os.fsync(asked.fileno())
        Path("ready").touch()
        time.sleep(PAUSE)
        return super().label(atoms)


def geometry_key(positions: list[list[float]]) -> str:
    """Name a geometry, to the last bit."""
    return hashlib.sha256(repr(positions).encode()).hexdigest()


if __name__ == "__main__":
    method, directory = sys.argv[1], Path(sys.argv[2])
    os.chdir(directory)
    METHODS[method](oxygen_on_copper(), directory, parent=SlowParent.from_target(EMT, {}))
