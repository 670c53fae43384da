"""Ask in regular intervals."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.history import History
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Prediction


@dataclass(frozen=True)
class EveryK(MSONable):
    """Ask at the k-th geometry after the last label, whatever the label was asked for."""

    k: int
    """Steps; 1 asks at every geometry. Before the first label the run's start counts."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"`k` is {self.k} but must be at least 1; 1 asks at every geometry")

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Count the steps since the last label, this one included."""
        due = past.steps_since_label + 1 >= self.k
        return Decision((QueryReason.EVERY_K,) if due else ())
