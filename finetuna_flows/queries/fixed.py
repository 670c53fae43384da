"""Ask at the beginning, whatever the surrogate says."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.history import History
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Prediction


@dataclass(frozen=True)
class FirstN(MSONable):
    """Ask at the first geometries of a run, so that learning starts where the run starts."""

    n: int = 1
    """Geometries, the given one included."""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`n` is {self.n} but must be at least 1; leave FirstN out instead")

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Count the steps of the past."""
        return Decision((QueryReason.FIRST,) if len(past) < self.n else ())
