"""Criteria as one word on a command line: ``first,relaxed:0.03,displacement:0.5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.convergence import RelaxedOnly
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.every_k import EveryK
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.queries.uncertainty import DynamicTolerance, StaticTolerance

CRITERIA: Mapping[str, tuple[Callable[..., QueryCriterion], type[int] | type[float]]]
CRITERIA = MappingProxyType(
    {
        "first": (FirstN, int),
        "relaxed": (RelaxedOnly, float),
        "every": (EveryK, int),
        "static": (StaticTolerance, float),
        "dynamic": (DynamicTolerance, float),
        "displacement": (Displacement, float),
    }
)
"""What makes a criterion, and the kind of the number behind the colon, by name."""

NEEDS_NUMBER = ("every",)
"""Criteria that have no default; each of the others may stand without its number."""


def parse_criterion(text: str) -> QueryCriterion:
    """Read ``NAME:NUMBER`` or ``NAME``, or several with commas between, of which any may ask.

    Raises
    ------
    ValueError
        If a part is not of this form, or its number is not one that the criterion takes.
    """
    criteria = tuple(_parse_one(part.strip()) for part in text.split(","))
    return criteria[0] if len(criteria) == 1 else AnyOf(criteria)


def _parse_one(part: str) -> QueryCriterion:
    name, colon, number = part.partition(":")
    if name not in CRITERIA or (not colon and name in NEEDS_NUMBER):
        raise ValueError(
            f"query criterion is {part!r} but must be NAME:NUMBER with a name of "
            f"{', '.join(CRITERIA)}; all but {', '.join(NEEDS_NUMBER)} have a default and may "
            "stand alone; for example first,relaxed:0.03"
        )
    make, kind = CRITERIA[name]
    try:
        return make(kind(number)) if colon else make()
    except ValueError as exc:
        raise ValueError(f"query criterion {part!r} is refused: {exc}") from exc
