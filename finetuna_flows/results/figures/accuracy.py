"""Accuracy against speed: success rates over parent calls (Fig. 3 of the FINETUNA paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Transform, offset_copy

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.style import (
    GREY,
    SINGLE,
    Look,
    NothingToDrawError,
    canvas,
    completed,
    drawing,
    plain,
)
from finetuna_flows.results.figures.subject import study_to_draw
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.methods import MethodSummary, summarize
from finetuna_flows.results.tables.statistics import Share
from finetuna_flows.results.tables.study import Study

APART = 1.6
"""Points by which the intervals of both rules are moved to the sides, so that both are seen."""
FILLED, HOLLOW = 4.5, 8.0
"""Points; where both rules say the same the hollow mark stands round the filled one."""
MARGIN = 1.06
"""Of the axis beyond the farthest bar."""


def accuracy_figure(
    comparisons: Sequence[ComparisonDoc],
    *,
    count: Count = Count.FRAMES,
    palette: Mapping[str, Look] | None = None,
) -> Figure:
    """Draw how often each method succeeds over what it costs.

    Filled marks are success by the paper's rule (energy at most the tolerance above the
    reference's), hollow ones by the strict rule, round the filled one where both agree. Bars are
    Wilson's 95 % interval upwards and one standard error of the mean ratio sideways; the reference
    has none, for all is relative to it. Where a method is judged on fewer systems than there are,
    its name says on how many.

    Parameters
    ----------
    comparisons
        One a system, all with the same reference.
    count
        Which parent calls count.
    palette
        Looks that methods have already; None: in the order of `Study.methods`.

    Raises
    ------
    NothingToDrawError
        If no method can be compared with the reference.
    """
    study = study_to_draw(comparisons, count)
    summaries = [each for each in summarize(study) if each.calls_ratio.n and each.passing.n]
    if not summaries:
        raise NothingToDrawError(
            f"no system has {study.reference} and another method to compare with it"
        )
    palette = completed(palette, study.methods)
    with drawing():
        figure = canvas(SINGLE, 3.2 + 0.13 * ((len(summaries) + 1) // 2))
        axes = figure.subplots()
        for summary in summaries:
            _marks(axes, study, summary, palette[summary.method])
        axes.set_xlim(0, 100 * MARGIN * max(_farthest(each) for each in summaries))
        axes.set_ylim(_lowest(summaries), 104)
        axes.set_xlabel(f"Parent calls (% of {plain(study.reference)}'s)")
        axes.set_ylabel("Successful relaxations (%)")
        _legends(figure, axes, study.energy_tolerance)
    return figure


def _farthest(summary: MethodSummary) -> float:
    return (summary.calls_ratio.value or 0.0) + (summary.calls_ratio.error or 0.0)


def _lowest(summaries: Sequence[MethodSummary]) -> float:
    """Per cent below which neither mark nor interval reaches."""
    shares = [share for each in summaries for share in (each.passing, each.strict)]
    lowest = min(share.interval[0] for share in shares if share.interval)
    return 10 * floor(10 * lowest) - 4.0


def _marks(axes: Axes, study: Study, summary: MethodSummary, look: Look) -> None:
    name = plain(summary.method)
    if summary.passing.n != len(study.systems):
        name = f"{name} (n = {summary.passing.n})"
    for share, filled, side in ((summary.passing, True, -1), (summary.strict, False, 1)):
        moved = offset_copy(
            axes.transData, axes.get_figure(root=True), x=side * APART, units="points"
        )
        _mark(axes, summary, share, look, moved, name if filled else "_strict", filled=filled)


def _mark(
    axes: Axes,
    summary: MethodSummary,
    share: Share,
    look: Look,
    moved: Transform,
    label: str,
    *,
    filled: bool,
) -> None:
    x = 100 * (summary.calls_ratio.value or 0.0)
    y = 100 * (share.fraction or 0.0)
    low, high = share.interval or (0.0, 0.0)
    certain = summary.is_reference
    mark, _, _ = axes.errorbar(
        [x],
        [y],
        xerr=None if certain else 100 * (summary.calls_ratio.error or 0.0),
        yerr=None if certain else [[y - 100 * low], [100 * high - y]],
        marker=look.marker,
        color=look.ink,
        markerfacecolor=look.color if filled else "none",
        markersize=FILLED if filled else HOLLOW,
        elinewidth=0.8,
        linestyle="none",
        label=label,
        transform=moved,
        zorder=3 if filled else 2.5,
    )
    mark.set_transform(axes.transData)


def _legends(figure: Figure, axes: Axes, tolerance: float) -> None:
    """Methods below, what filled and hollow mean above."""
    rules = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            color=GREY,
            label=f"paper's rule, ≤ {tolerance:g} eV",
        ),
        Line2D([], [], linestyle="none", marker="o", color=GREY, label="strict rule"),
    ]
    rules[1].set_markerfacecolor("white")
    figure.legend(handles=rules, loc="outside upper center", ncols=2)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
