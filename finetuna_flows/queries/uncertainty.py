"""Ask where the surrogate does not trust its own forces."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.errors import SurrogateError
from finetuna_flows.geometry import fmax
from finetuna_flows.history import History
from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Prediction

ASK = Decision((QueryReason.UNCERTAIN,))
GO_ON = Decision()


@dataclass(frozen=True)
class StaticTolerance(MSONable):
    """Ask when the spread of predicted forces exceeds a fixed value."""

    force_std: float = 0.45
    """eV/Å that the standard deviation of a free atom's force (a vector's length) may reach.
    Calibrated with a ResidualGPSpec by ``benchmarks/calibration.py`` on 219 queries from 17 systems
    published with FINETUNA, 2026-11: the spread that best tells whether the worst atom's error
    exceeds 0.5 eV/Å is 0.44 for CHGNet (3 % mistakes) and 0.24 for SevenNet (none). The smaller
    one is too strict: 1135151 took 16 calls with 0.25 and 8 with 0.45, as with the default
    Displacement."""

    def __post_init__(self) -> None:
        if not 0 < self.force_std < math.inf:
            raise ValueError(
                f"`force_std` is {self.force_std} but must be a positive number of eV/Å"
            )

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Compare the worst free atom's spread with the tolerance.

        Raises
        ------
        SurrogateError
            If the surrogate has learned from a label and still does not know its uncertainty.
        """
        spread = worst_spread(past, prediction)
        return ASK if spread is None or spread > self.force_std else GO_ON


@dataclass(frozen=True)
class DynamicTolerance(MSONable):
    """Ask when the spread of predicted forces exceeds a fraction of the largest one.

    Generous far from the minimum, strict near it.
    """

    fraction: float = 1.5
    """Of the largest predicted force on a free atom. The calibration of `StaticTolerance.force_std`
    says 0.56 for SevenNet, above which the worst atom's error exceeds that force (11 % mistakes,
    18 % by always saying no), and nothing better than the base rate for CHGNet. Parent calls say
    1.5: on three systems 7, 11 and 11 with it, 7, 11 and 14 with 0.6."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < math.inf:
            raise ValueError(f"`fraction` is {self.fraction} but must be a positive number")

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Compare the worst free atom's spread with the largest free force.

        Raises
        ------
        SurrogateError
            If the surrogate has learned from a label and still does not know its uncertainty.
        """
        spread = worst_spread(past, prediction)
        tolerance = self.fraction * fmax(prediction.forces, past.free)
        return ASK if spread is None or spread > tolerance else GO_ON


def worst_spread(past: History, prediction: Prediction) -> float | None:
    """Largest standard deviation of a free atom's force in eV/Å; None before there can be one.

    Raises
    ------
    SurrogateError
        If there is a label to have learned from and still no uncertainty.
    """
    if prediction.forces_std is not None:
        return fmax(prediction.forces_std, past.free)
    if past.last_labelled is None:
        return None
    raise SurrogateError(
        f"the surrogate gives no uncertainty of its forces after {past.parent_calls} label(s), "
        "but the query criterion needs one; use a tuner that knows it (ResidualGPSpec) or "
        "another criterion (RelaxedOnly, EveryK, Displacement)"
    )


def asks_for_uncertainty(criterion: QueryCriterion) -> bool:
    """Whether a criterion, or one that it is made of, needs a surrogate that knows its spread."""
    parts = getattr(criterion, "criteria", ())
    return isinstance(criterion, StaticTolerance | DynamicTolerance) or any(
        asks_for_uncertainty(part) for part in parts
    )
