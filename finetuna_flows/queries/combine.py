"""Several criteria as one; every reason is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.history import History
from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.records import Decision, Prediction


@dataclass(frozen=True)
class AnyOf(MSONable):
    """Ask when at least one criterion asks."""

    criteria: tuple[QueryCriterion, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "criteria", _checked(self.criteria))

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Ask all of them, also after one has said yes, so that no reason is lost."""
        return _joined(each.decide(past, atoms, prediction) for each in self.criteria)


@dataclass(frozen=True)
class AllOf(MSONable):
    """Ask when all criteria ask."""

    criteria: tuple[QueryCriterion, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "criteria", _checked(self.criteria))

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Give the reasons of all, or none."""
        decisions = [each.decide(past, atoms, prediction) for each in self.criteria]
        return _joined(decisions) if all(each.query for each in decisions) else Decision()


def _checked(criteria: Iterable[QueryCriterion]) -> tuple[QueryCriterion, ...]:
    kept = tuple(criteria)
    if not kept:
        raise ValueError("`criteria` is empty but must hold at least one criterion")
    for each in kept:
        if not callable(getattr(each, "decide", None)):
            raise TypeError(f"`criteria` holds {each!r} but each must be a query criterion")
    return kept


def _joined(decisions: Iterable[Decision]) -> Decision:
    """All reasons once, in the order of the criteria."""
    return Decision(tuple(dict.fromkeys(reason for each in decisions for reason in each.reasons)))
