"""The ASE skin over whatever answers for a geometry, so that ASE's optimizers can drive it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Step


class Stopped(Exception):  # noqa: N818 - it ends a run, it is no error
    """Ends an optimizer from within, wherever it is."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


class StepCalculator(Calculator):
    """Every evaluation is one step of a relaxation.

    Parameters
    ----------
    evaluate
        Takes the step at a geometry.
    may_stop
        Why the relaxation ends after a step; None if it goes on.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012 - ASE's way

    def __init__(
        self, evaluate: Callable[[Atoms], Step], may_stop: Callable[[Step], StopReason | None]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE is untyped
        self._evaluate = evaluate
        self._may_stop = may_stop

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Take a step.

        Raises
        ------
        Stopped
            If the relaxation ends here.
        """
        if atoms is None:
            raise ValueError("`atoms` is None but a step needs a geometry")
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]  # as is
        with np.errstate(divide="warn", invalid="warn"):  # the optimizer's own are errors
            step = self._evaluate(atoms)
        self.results = {
            "energy": step.energy,
            "free_energy": step.force_energy,
            "forces": step.forces.copy(),
        }
        reason = self._may_stop(step)
        if reason is not None:
            raise Stopped(reason)
