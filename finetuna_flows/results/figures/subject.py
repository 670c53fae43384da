"""The study that a figure of several systems draws."""

from __future__ import annotations

from collections.abc import Sequence

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.style import NothingToDrawError
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.study import Study, study_of


def study_to_draw(comparisons: Sequence[ComparisonDoc], count: Count = Count.FRAMES) -> Study:
    """Put comparisons together, as tables do.

    Raises
    ------
    NothingToDrawError
        If there is no comparison.
    ValueError
        If they do not belong together; see `study_of`.
    """
    if not comparisons:
        raise NothingToDrawError("there is no comparison")
    return study_of(comparisons, count=count)
