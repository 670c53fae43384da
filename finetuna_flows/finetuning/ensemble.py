"""Teaching every member of an ensemble by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.cached import head_inputs
from finetuna_flows.finetuning.specs import EnsembleTunerSpec
from finetuna_flows.geometry import Array, free_components
from finetuna_flows.protocols import CorrectableSurrogate, MemberedSurrogate
from finetuna_flows.records import FitReport, Frame


class EnsembleTuner:
    """Runs one tuner a member on the same labels.

    Where members differ in the head alone, a label passes the rest of the network once for all.

    Parameters
    ----------
    spec
        The tuners.
    surrogate
        Its prior is the ensemble; corrections on top are not looked at.

    Raises
    ------
    ValueError
        If the prior is no ensemble, its members are more or fewer than the tuners, or one of
        them cannot learn in this way.
    """

    def __init__(self, spec: EnsembleTunerSpec, surrogate: CorrectableSurrogate) -> None:
        ensemble = surrogate.prior
        if not isinstance(ensemble, MemberedSurrogate):
            raise ValueError(
                f"a {type(ensemble).__name__} has no members; make it one of an EnsembleSpec, or "
                "use the tuner of the member alone"
            )
        tuners = spec.tuners * (len(ensemble.members) if len(spec.tuners) == 1 else 1)
        if len(tuners) != len(ensemble.members):
            raise ValueError(
                f"`tuners` holds {len(tuners)} tuners but the ensemble has "
                f"{len(ensemble.members)} members; give one tuner for each, or one for all"
            )
        self._surrogate = surrogate
        self._ensemble = ensemble
        self._tuners = [
            tuner.build(member) for tuner, member in zip(tuners, ensemble.members, strict=True)
        ]
        inputs = head_inputs(self._tuners)
        for each in inputs:
            each.look_at(inputs)

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Let every member learn, and let their energies agree at the newest label.

        The report counts the errors of the whole surrogate on the labels of the longest window.

        Raises
        ------
        FineTuningError
            If a member could learn nothing; those before it have.
        """
        began = time.perf_counter()
        if not frames:
            raise FineTuningError("got 0 labels but learning needs at least 1")
        before = [self._errors(frame) for frame in frames]
        reports = [tuner.update(frames) for tuner in self._tuners]
        self._ensemble.align(frames[-1].atoms)
        window = max(report.n_frames for report in reports)
        epochs = [report.epochs for report in reports if report.epochs is not None]
        return FitReport(
            tuner=f"ensemble of {reports[0].tuner}",
            n_frames=window,
            force_rmse_before=_root_mean_square(before[-window:]),
            force_rmse_after=_root_mean_square([self._errors(f) for f in frames[-window:]]),
            epochs=max(epochs) if epochs else None,
            wall_time=time.perf_counter() - began,
        )

    def _errors(self, frame: Frame) -> Array:
        """Of the free force components, in eV/Å, shape (d,)."""
        forces = self._surrogate.predict(frame.atoms).forces
        return (forces - frame.label.forces)[free_components(frame.atoms)]


def _root_mean_square(errors: Sequence[Array]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
