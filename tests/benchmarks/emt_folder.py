"""A benchmark folder made of relaxations that EMT labelled: seconds, and a parent known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
import ase.optimize
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize.sciopt import SciPyFminCG

from benchmarks.fit_parents import main
from tests.systems import oxygen_on_copper

FMAX = 0.03
METHODS = {"VASP_CG": SciPyFminCG, "ASE_BFGS": ase.optimize.BFGS, "ASE_GPMin": ase.optimize.GPMin}


class Recording(EMT):
    """EMT that keeps every geometry it was asked for, trial steps of line searches included."""

    def __init__(self, sid: str, method: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE is untyped
        self.frames: list[Atoms] = []
        self._info = {"sid": sid, "method": method}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        assert atoms is not None
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        frame = atoms.copy()
        frame.info = {**self._info, "call": len(self.frames)}
        frame.calc = SinglePointCalculator(
            frame, energy=self.results["energy"], forces=self.results["forces"].copy()
        )
        self.frames.append(frame)


def emt_frames(sid: str = "1") -> list[Atoms]:
    """Relax oxygen on copper by each method."""
    frames = []
    for method, optimizer in METHODS.items():
        atoms = oxygen_on_copper()
        atoms.calc = Recording(sid, method)
        optimizer(atoms, logfile=None).run(fmax=FMAX)
        frames += atoms.calc.frames
    return frames


def make_folder(folder: Path, *options: str) -> Path:
    """Write the labelled frames and fit a parent to them."""
    labelled = folder / "labelled.extxyz"
    ase.io.write(labelled, emt_frames())
    main(["--frames", str(labelled), "--out", str(folder / "data"), *options])
    return folder / "data"
