"""Parents for `benchmarks/colocation.py`: one that answers at once, one that takes its time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators import emt
from ase.calculators.calculator import Calculator, all_changes


class Constant(Calculator):
    """Answers at once."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's way

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """0 eV, and 0.1 eV/Å along each axis."""
        assert atoms is not None
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self.results = {"energy": 0.0, "forces": np.full((len(atoms), 3), 0.1)}


class Busy(emt.EMT):
    """EMT that keeps a processor busy for so many seconds of the clock a label.

    Seconds of the clock, so that a label takes as long whatever else runs and only what the learner
    does in between can differ.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE's
        self._seconds = seconds

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute, then spin."""
        end = time.perf_counter() + self._seconds
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        while time.perf_counter() < end:
            pass
