"""ASE calculators that count, tell or die, each in whichever process it is called."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import SCFError, all_changes
from ase.calculators.emt import EMT

VARIABLES = ("OMP_NUM_THREADS", "FINETUNA_FLOWS_THREADS", "CUDA_VISIBLE_DEVICES")


class Counting(EMT):
    """EMT that adds a line to a file for every geometry that it computes."""

    def __init__(self, file: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE has no types
        self.file = Path(file)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Note, then compute."""
        with self.file.open("a") as file:
            file.write("asked\n")
        self.act(len(self.file.read_text().splitlines()))
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]

    def act(self, count: int) -> None:
        """Do something at the geometry with this number, beginning with one."""


class Dying(Counting):
    """Kills its own process at the second geometry that it is asked for, and at some after it."""

    def __init__(self, file: str, times: int) -> None:
        super().__init__(file)
        self.times = times

    def act(self, count: int) -> None:
        """Say a last word, and die without another."""
        if 2 <= count < 2 + self.times:
            die()


class Unready(Counting):
    """Kills its own process as soon as it is asked which elements it knows."""

    @property
    def elements(self) -> tuple[str, ...]:
        """None that anybody hears of."""
        die()
        return ()


class Failing(Counting):
    """Does not converge."""

    def act(self, count: int) -> None:
        """Give up."""
        raise SCFError("the density goes to and fro")


class Unplugged(Counting):
    """Its disk is gone, which another try may find mended."""

    def act(self, count: int) -> None:
        """Give up."""
        raise OSError("the disk is gone")


class Telling(Counting):
    """Leaves in a second file what its process may use."""

    def __init__(self, file: str, told: str) -> None:
        super().__init__(file)
        self.told = Path(told)

    def act(self, count: int) -> None:
        """Write cores and variables."""
        variables = {name: os.environ.get(name) for name in VARIABLES}
        told = {"pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0)), **variables}
        self.told.write_text(json.dumps(told))


def die() -> None:
    """Say a last word, and end without another."""
    print("the node runs out of memory", file=sys.stderr, flush=True)  # noqa: T201
    os.kill(os.getpid(), signal.SIGKILL)
