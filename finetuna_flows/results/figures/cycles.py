"""SCF cycles by optimizer and parent mode (Figs. 5b and S3 of the FINETUNA paper)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow
from finetuna_flows.results.figures.style import (
    Look,
    NothingToDrawError,
    across,
    canvas,
    completed,
    drawing,
    plain,
    wrapped,
)
from finetuna_flows.results.figures.subject import study_to_draw
from finetuna_flows.results.tables.statistics import Mean, mean
from finetuna_flows.results.tables.study import Study

MODES = {"cold": "M1", "restart": "M2", "kept": "M3"}
"""What the paper calls the parent modes."""
SAID = {
    "cold": "M1, cold",
    "restart": "M2, restart",
    "kept": "M3, kept",
    None: "mode not known",
}
HATCHES = {"cold": "", "restart": "////", "kept": "xxxx", None: "...."}
WIDTH = 0.8
"""Part of the axis that a group of bars takes."""


@dataclass(frozen=True)
class Bar:
    """One bar: the relaxations of a method in one mode."""

    group: str
    """The method without the mode in its name."""
    method: str
    """As comparisons call it."""
    mode: str | None
    height: Mean


def cycles_figure(
    comparisons: Sequence[ComparisonDoc],
    *,
    palette: Mapping[str, Look] | None = None,
    absolute: bool = False,
) -> Figure:
    """Draw SCF cycles as bars, grouped by method, one bar a parent mode, with standard errors.

    Methods whose names differ only in the mode (``BFGS cold``, ``BFGS M3``) are one group.

    Parameters
    ----------
    comparisons
        One a system, all with the same reference.
    palette
        Looks that methods have already; None: in the order of `Study.methods`.
    absolute
        Whether to draw the mean cycles of a relaxation, not the mean ratio to the reference's.

    Raises
    ------
    NothingToDrawError
        If no relaxation tells its cycles, or those of the reference are not known.
    """
    study = study_to_draw(comparisons)
    palette = completed(palette, study.methods)
    bars = [bar for method in study.methods for bar in _bars(study, method, absolute=absolute)]
    if not bars:
        missing = "" if absolute else f", or {study.reference} does not"
        raise NothingToDrawError(f"no relaxation tells its SCF cycles{missing}")
    groups = list(dict.fromkeys(bar.group for bar in bars))
    with drawing():
        figure = canvas(across(len(bars)), 2.6)
        axes = figure.subplots()
        for place, group in enumerate(groups):
            members = [
                bar for mode in SAID for bar in bars if (bar.group, bar.mode) == (group, mode)
            ]
            _group(axes, place, members, palette)
        room = 0.85 * figure.get_figwidth() / len(groups)
        axes.set_xticks(range(len(groups)), [wrapped(plain(group), room) for group in groups])
        axes.set_xlim(-0.6, len(groups) - 0.4)
        relative = f"SCF cycles (% of {plain(study.reference)}'s)"
        axes.set_ylabel("SCF cycles per relaxation" if absolute else relative)
        modes = [mode for mode in SAID if any(bar.mode == mode for bar in bars)]
        handles = [
            Patch(facecolor="white", edgecolor="black", hatch=HATCHES[mode], label=SAID[mode])
            for mode in modes
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _bars(study: Study, method: str, *, absolute: bool) -> list[Bar]:
    rows = [outcome.row for outcome in study.of(method)]
    found = []
    for mode in SAID:
        values = [_value(row, absolute=absolute) for row in rows if row.parent_mode == mode]
        known = [value for value in values if value is not None]
        if known:
            found.append(Bar(_without(method, mode), method, mode, mean(known)))
    return found


def _value(row: ComparisonRow, *, absolute: bool) -> float | None:
    if absolute:
        return row.scf_cycles
    return None if row.scf_cycles_ratio is None else 100 * row.scf_cycles_ratio


def _without(method: str, mode: str | None) -> str:
    """The name without the word for its mode; whole where nothing else would be left."""
    if mode is None:
        return method
    word = rf"[\s_(:,-]*(?<![^\W_])(?:{mode}|{MODES.get(mode, mode)})(?![^\W_])\)?"
    return re.sub(word, "", method).strip(" _:,-") or method


def _group(axes: Axes, place: int, bars: Sequence[Bar], palette: Mapping[str, Look]) -> None:
    width = WIDTH / max(len(bars), 2)
    for index, bar in enumerate(bars):
        x = place + width * (index - (len(bars) - 1) / 2)
        drawn = axes.bar(
            x,
            bar.height.value or 0.0,
            width,
            yerr=bar.height.error,
            color=palette[bar.method].tint,
            edgecolor="black",
            hatch=HATCHES[bar.mode],
            label=f"{bar.method}, {SAID[bar.mode]}",
            error_kw={"elinewidth": 0.8, "capsize": 2},
        )
        axes.bar_label(drawn, fmt="{:.0f}", fontsize=6, padding=1)
