"""A surrogate whose making can be held, `learner.py:prior`, and a tuner that can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase.calculators.morse import MorsePotential

from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner
from finetuna_flows.records import FitReport, Frame
from tests.fakes.colocated_parts import phases
from tests.fakes.colocated_parts.phases import Phases
from tests.systems import MORSE_ARGUMENTS


def prior(notes: str) -> MorsePotential:
    """Make the poor prior of the tests; `notes` is the absolute path of a folder."""
    Phases(Path(notes)).enter(phases.LEARNER_STARTS)
    return MorsePotential(**MORSE_ARGUMENTS)


@dataclass(frozen=True)
class NotingTunerSpec(ResidualGPSpec):
    """The residual Gaussian process, each update of which can be seen."""

    notes: str = ""
    """Absolute path of a folder."""

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Build it, seen."""
        return NotingTuner(super().build(surrogate), Phases(Path(self.notes)))


@dataclass(frozen=True)
class NotingTuner:
    """Another tuner, seen."""

    tuner: FineTuner
    notes: Phases

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Note, then learn."""
        self.notes.enter(phases.TUNING)
        return self.tuner.update(frames)
