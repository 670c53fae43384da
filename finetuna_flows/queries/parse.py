"""Criteria as one word on a command line: ``first:1,relaxed:0.03,displacement:0.5``."""

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

CRITERIA: Mapping[str, Callable[[str], QueryCriterion]] = MappingProxyType(
    {
        "first": lambda number: FirstN(int(number)),
        "relaxed": lambda number: RelaxedOnly(float(number)),
        "every": lambda number: EveryK(int(number)),
        "static": lambda number: StaticTolerance(float(number)),
        "dynamic": lambda number: DynamicTolerance(float(number)),
        "displacement": lambda number: Displacement(float(number)),
    }
)
"""What makes a criterion from the number behind the colon, by name."""


def parse_criterion(text: str) -> QueryCriterion:
    """Read ``NAME:NUMBER``, or several with commas between them, of which any may ask.

    Raises
    ------
    ValueError
        If a part is not of this form, or its number is not one that the criterion takes.
    """
    criteria = tuple(_parse_one(part.strip()) for part in text.split(","))
    return criteria[0] if len(criteria) == 1 else AnyOf(criteria)


def _parse_one(part: str) -> QueryCriterion:
    name, colon, number = part.partition(":")
    if name not in CRITERIA or not colon:
        raise ValueError(
            f"query criterion is {part!r} but must be NAME:NUMBER with a name of "
            f"{', '.join(CRITERIA)}; for example first:1,relaxed:0.03"
        )
    try:
        return CRITERIA[name](number)
    except ValueError as exc:
        raise ValueError(f"query criterion {part!r} is refused: {exc}") from exc
