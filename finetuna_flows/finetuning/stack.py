"""Several tuners round one surrogate."""

from __future__ import annotations

from collections.abc import Sequence

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.cached import HeadInputs, head_inputs
from finetuna_flows.protocols import FineTuner
from finetuna_flows.records import FitReport, Frame


class TunerStack:
    """Runs tuners in order, so that each learns what those before it left over."""

    def __init__(self, tuners: Sequence[FineTuner]) -> None:
        if not tuners:
            raise ValueError("got 0 tuners but a stack needs at least 1")
        self._tuners = tuple(tuners)

    @property
    def head_inputs(self) -> list[HeadInputs]:
        """What its tuners keep of the labels' way through the network."""
        return head_inputs(self._tuners)

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Let every tuner learn from the labels.

        The report takes the error before from the first tuner and the error after from the
        last; each counts it over the labels of its own window.

        Raises
        ------
        FineTuningError
            If one of them could learn nothing.
        """
        if not frames:
            raise FineTuningError("got 0 labels but learning needs at least 1")
        reports = [tuner.update(frames) for tuner in self._tuners]
        epochs = [report.epochs for report in reports if report.epochs is not None]
        return FitReport(
            tuner="+".join(report.tuner for report in reports),
            n_frames=max(report.n_frames for report in reports),
            force_rmse_before=reports[0].force_rmse_before,
            force_rmse_after=reports[-1].force_rmse_after,
            epochs=sum(epochs) if epochs else None,
            wall_time=sum(report.wall_time for report in reports),
        )
