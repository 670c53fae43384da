"""Where the wall time goes, method by method (Figs. 5c and S4 of the FINETUNA paper)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.style import (
    SINGLE,
    NothingToDrawError,
    canvas,
    drawing,
    plain,
    wrapped,
)
from finetuna_flows.results.figures.subject import study_to_draw
from finetuna_flows.results.tables.methods import MethodSummary, WallTime, summarize

PARTS = {
    "parent": ("0.75", ""),
    "tuning": ("0.35", ""),
    "prediction": ("white", "////"),
    "overhead": ("white", "...."),
}
"""Face and hatch of each part: greys, for colours are the methods'."""
UNITS = ((7200.0, 3600.0, "h"), (300.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From which longest bar on (seconds), seconds in the unit, and the unit."""


def wall_time_figure(comparisons: Sequence[ComparisonDoc], *, fraction: bool = False) -> Figure:
    """Draw the mean wall time of a relaxation as stacked bars, the standard error at the end.

    The mean is over the relaxations that recorded their time (an imported one may not have). How
    many they are stands beside the name where it is not all systems.

    Parameters
    ----------
    comparisons
        One a system, all with the same reference.
    fraction
        Whether to draw parts of the whole, in per cent, not times.

    Raises
    ------
    NothingToDrawError
        If no relaxation tells where its time went.
    """
    study = study_to_draw(comparisons)
    timed = [each for each in summarize(study) if each.wall_time.total.n]
    if not timed:
        raise NothingToDrawError("no relaxation tells where its wall time went")
    with drawing():
        figure = canvas(SINGLE, 0.9 + 0.28 * len(timed))
        axes = figure.subplots()
        longest = max(each.wall_time.total.value or 0.0 for each in timed)
        scale, unit = (0.0, "%") if fraction else _unit(longest)
        _stack(axes, [each.wall_time for each in timed], scale)
        names = [_name(each, len(study.systems)) for each in timed]
        axes.set_yticks(range(len(timed)), names)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        what = "Part of the wall time" if fraction else "Wall time per relaxation"
        axes.set_xlabel(f"{what} ({unit})")
        figure.legend(loc="outside upper center", ncols=4, columnspacing=1.0)
    return figure


def _unit(longest: float) -> tuple[float, str]:
    return next((scale, unit) for least, scale, unit in UNITS if longest >= least)


def _stack(axes: Axes, times: Sequence[WallTime], scale: float) -> None:
    """Draw all bars; a `scale` of zero makes them all equally long, in per cent."""
    places = range(len(times))
    scales = [scale or (each.total.value or 1.0) / 100 for each in times]
    ends = [0.0] * len(times)
    for part, (face, hatch) in PARTS.items():
        means = [getattr(each, part).value or 0.0 for each in times]
        lengths = [value / unit for value, unit in zip(means, scales, strict=True)]
        axes.barh(
            places,
            lengths,
            height=0.65,
            left=ends,
            color=face,
            hatch=hatch,
            edgecolor="black",
            label=part,
        )
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    if scale:
        errors = [(each.total.error or 0.0) / scale for each in times]
        axes.errorbar(ends, places, xerr=errors, fmt="none", ecolor="black", elinewidth=0.8)


def _name(summary: MethodSummary, systems: int) -> str:
    known = summary.wall_time.total.n
    of_some = "" if known == systems else f" (n = {known})"
    return wrapped(f"{plain(summary.method)}{of_some}", SINGLE / 3)
