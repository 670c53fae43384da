"""What stands under a correction says of the labels, asked once for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetuna_flows.finetuning.cached import geometry_key
from finetuna_flows.protocols import CorrectableSurrogate
from finetuna_flows.records import Frame, Prediction


class PredictionsBelow:
    """Predictions under the correction called `name`, remembered while they stay the same.

    What stands below may have been trained since. So the newest label that was known before is
    predicted again each time, and if a single number differs, all are: weights that change,
    change the prediction everywhere.
    """

    def __init__(self, surrogate: CorrectableSurrogate, name: str) -> None:
        self._surrogate = surrogate
        self._name = name
        self._known: dict[bytes, Prediction] = {}
        self.renewed = False
        """Whether the last call found that what stands below has changed."""

    def predict(self, frames: Sequence[Frame]) -> list[Prediction]:
        """One prediction a label, in their order."""
        self.renewed = self._changed(frames)
        if self.renewed:
            self._known.clear()
        for frame in frames:
            key = geometry_key(frame.atoms)
            if key not in self._known:
                self._known[key] = self._ask(frame)
        return [self._known[geometry_key(frame.atoms)] for frame in frames]

    def _changed(self, frames: Sequence[Frame]) -> bool:
        for frame in reversed(frames):
            then = self._known.get(geometry_key(frame.atoms))
            if then is not None:
                now = self._ask(frame)
                return then.energy != now.energy or not np.array_equal(then.forces, now.forces)
        return False

    def _ask(self, frame: Frame) -> Prediction:
        return self._surrogate.predict_below(self._name, frame.atoms)
