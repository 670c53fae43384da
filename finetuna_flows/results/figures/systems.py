"""Parent calls and final energies, system by system (Fig. 4 of the FINETUNA paper)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWNBASE, CARETUPBASE
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import offset_copy

from finetuna_flows.geometry import Array
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.style import (
    BAND,
    SINGLE,
    Look,
    NothingToDrawError,
    across,
    canvas,
    completed,
    drawing,
    plain,
)
from finetuna_flows.results.figures.subject import study_to_draw
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.numbers import signed
from finetuna_flows.results.tables.study import Study

ENERGY_RANGE = 5.0
"""Tolerances above and below the reference that the energy axis shows."""
SPREAD = 0.7
"""Part of a system's width over which the marks of its methods are spread."""
NAMED = 40
"""Systems; with more of them neither systems nor single outliers are named."""
LINE = 6.5
"""Points from one value of an outlier to the next."""
PANEL = 120.0
"""Points that the energies' panel is high at least, strips for outliers apart."""


def systems_figure(
    comparisons: Sequence[ComparisonDoc],
    *,
    count: Count = Count.FRAMES,
    palette: Mapping[str, Look] | None = None,
    energy_range: float | None = None,
) -> Figure:
    """Draw the parent calls and the energy differences of each method on each system.

    Systems are sorted by the reference's calls. An energy beyond the axis is a mark with an arrow
    at its edge, with the value in eV.

    Parameters
    ----------
    comparisons
        One a system, all with the same reference.
    count
        Which parent calls count.
    palette
        Looks that methods have already; None: in the order of `Study.methods`.
    energy_range
        eV above and below the reference that are shown; None: `ENERGY_RANGE` tolerances.

    Raises
    ------
    NothingToDrawError
        If nothing has parent calls.
    ValueError
        If the range is not positive.
    """
    study = study_to_draw(comparisons, count)
    palette = completed(palette, study.methods)
    systems = sorted(study.systems, key=lambda system: _calls_of_reference(study, system))
    limit = ENERGY_RANGE * study.energy_tolerance if energy_range is None else energy_range
    if not limit > 0:
        raise ValueError(f"`energy_range` is {limit} but must be positive; leave it out")
    strips = _strips(study, limit)
    with drawing():
        figure = canvas(across(len(systems)), 4.3 + sum(strips) / 72)
        heights = [PANEL, PANEL + sum(strips)]
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        for axes in (upper, lower):
            _stripes(axes, len(systems))
            axes.tick_params(axis="x", length=0)
        _calls(upper, study, systems, palette)
        _energies(lower, study, systems, palette, limit)
        unit = 2 * limit / PANEL
        lower.set_ylim(-limit - unit * strips[0], limit + unit * strips[1])
        lower.spines["left"].set_bounds(-limit, limit)
        lower.set_yticks([tick for tick in lower.get_yticks() if abs(tick) <= 1.001 * limit])
        lower.set_xlabel(f"System, by the parent calls of {plain(study.reference)}")
        if len(systems) <= NAMED:
            named = [plain(system) for system in systems]
            lower.set_xticks(range(len(systems)), named, rotation=90, fontsize=6)
        handles, names = upper.get_legend_handles_labels()
        band, said = lower.get_legend_handles_labels()
        handles, names = [*handles, band[0]], [*names, said[0]]
        columns = min(len(names), 6 if figure.get_figwidth() > SINGLE else 2)
        figure.legend(handles, names, loc="outside upper center", ncols=columns)
    return figure


def _calls_of_reference(study: Study, system: str) -> tuple[float, str]:
    """Those without the reference come last."""
    outcome = study.by_name.get((system, study.reference))
    calls = outcome.calls if outcome else None
    return (float("inf") if calls is None else calls, system)


def _strips(study: Study, limit: float) -> tuple[float, float]:
    """Points below and above the energies that outliers need."""
    heights = []
    for sign in (-1, 1):
        beyond = Counter(
            each.system
            for each in study.outcomes
            if sign * (each.row.energy_difference or 0.0) > limit
        )
        lines = max(beyond.values()) if beyond and len(study.systems) <= NAMED else 0
        heights.append(16 + LINE * lines if beyond else 4.0)
    return heights[0], heights[1]


def _stripes(axes: Axes, count: int) -> None:
    """Shade every other system, so that marks are found to belong together."""
    for place in range(1, count, 2):
        axes.axvspan(place - 0.5, place + 0.5, color="0.96", linewidth=0, zorder=0)
    axes.set_xlim(-0.5, count - 0.5)


def _offsets(methods: Sequence[str]) -> dict[str, float]:
    places: Array = (np.arange(len(methods)) + 0.5) / len(methods) - 0.5
    return {method: SPREAD * float(place) for method, place in zip(methods, places, strict=True)}


def _calls(axes: Axes, study: Study, systems: Sequence[str], palette: Mapping[str, Look]) -> None:
    drawn = []
    for method, offset in _offsets(study.methods).items():
        known = [
            (systems.index(each.system) + offset, each.calls)
            for each in study.of(method)
            if each.calls is not None
        ]
        drawn += [calls for _, calls in known]
        _mark(axes, palette[method], *_columns(known), label=plain(method))
    if not drawn:
        raise NothingToDrawError("no relaxation has parent calls")
    if min(drawn):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(LogFormatter())
    else:
        axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("Parent calls" if study.count is Count.FRAMES else "Parent calls − 1")


def _energies(
    axes: Axes, study: Study, systems: Sequence[str], palette: Mapping[str, Look], limit: float
) -> None:
    tolerance = study.energy_tolerance
    label = f"±{tolerance:g} eV"
    axes.axhspan(-tolerance, tolerance, color=BAND, linewidth=0, zorder=0.5, label=label)
    axes.axhline(0.0, color=palette[study.reference].color, linewidth=0.8, zorder=1)
    beyond: dict[tuple[int, bool], list[tuple[float, float, Look]]] = defaultdict(list)
    for method, offset in _offsets(study.methods[1:]).items():
        inside = []
        for each in study.of(method):
            energy = each.row.energy_difference
            place = systems.index(each.system)
            if energy is None:
                continue
            if abs(energy) <= limit:
                inside.append((place + offset, energy))
            else:
                beyond[place, energy > 0].append((place + offset, energy, palette[method]))
        _mark(axes, palette[method], *_columns(inside), label=plain(method))
    for (place, above), outliers in beyond.items():
        named = len(systems) <= NAMED
        _outliers(axes, place, outliers, limit if above else -limit, named=named)
    axes.set_ylabel(f"Energy − {plain(study.reference)}'s (eV)")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _mark(
    axes: Axes, look: Look, x: Sequence[float], y: Sequence[float], label: str = "_"
) -> list[Line2D]:
    return axes.plot(
        x,
        y,
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=3.6,
        markeredgecolor="black",
        markeredgewidth=0.3,
        label=label,
    )


def _outliers(
    axes: Axes,
    place: int,
    outliers: Sequence[tuple[float, float, Look]],
    edge: float,
    *,
    named: bool,
) -> None:
    """Marks with arrows beyond the edge; outside of them the values, in the marks' order."""
    outwards = 1 if edge > 0 else -1
    for x, value, look in outliers:
        beyond = offset_copy(
            axes.transData, axes.get_figure(root=True), y=5 * outwards, units="points"
        )
        (mark,) = _mark(axes, look, [x], [edge])
        mark.set(transform=beyond, gid=f"{value:+.6f} eV")
        tip = offset_copy(
            axes.transData, axes.get_figure(root=True), y=9 * outwards, units="points"
        )
        (arrow,) = axes.plot([x], [edge], linestyle="none", color="black", markersize=3)
        arrow.set(marker=CARETUPBASE if edge > 0 else CARETDOWNBASE, transform=tip)
    if not named:
        return
    from_the_edge = outliers[::-1] if edge > 0 else outliers
    for line, (_, value, look) in enumerate(from_the_edge):
        axes.annotate(
            signed(value, 2),
            (place, edge),
            xytext=(0, outwards * (12 + LINE * line)),
            textcoords="offset points",
            ha="center",
            va="bottom" if edge > 0 else "top",
            fontsize=5.5,
            color=look.ink,
        )
