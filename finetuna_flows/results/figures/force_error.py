"""The surrogate's force error before and after each tuning (Fig. S1 of the FINETUNA paper)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from finetuna_flows.geometry import Array
from finetuna_flows.results.document_parts import LedgerEntry
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.figures.style import (
    DOUBLE,
    GREY,
    SINGLE,
    Look,
    NothingToDrawError,
    canvas,
    completed,
    drawing,
    plain,
    wrapped,
)
from finetuna_flows.results.loaded import loaded_ledger

MIN_COUNT = 3
"""Relaxations; of fewer there are no quartiles."""
STAGES = {"force_error": "before tuning", "tuned_force_error": "after tuning"}


def force_error_figure(
    docs: Sequence[RelaxationDoc], *, palette: Mapping[str, Look] | None = None
) -> Figure:
    """Draw the force error at each parent call, before and after tuning, a panel a method.

    Of fewer than `MIN_COUNT` relaxations by a method the errors themselves; of more the median by
    call number with the quartiles as a band, as far as so many got, and below how many those are.

    What comes after tuning is the error over all labels learned so far (in an imported run, of
    this label); what comes before is that of the label that was just asked for.

    Parameters
    ----------
    docs
        With their ledgers loaded.
    palette
        Looks that methods have already.

    Raises
    ------
    NothingToDrawError
        If no ledger holds force errors.
    ValueError
        If a ledger is not loaded.
    """
    errors = _errors(docs)
    systems = {doc.system or doc.formula_pretty for doc in docs}
    if not errors:
        raise NothingToDrawError("no ledger holds a surrogate's force errors")
    palette = completed(palette, errors)
    aggregated = any(len(each) >= MIN_COUNT for each in errors.values())
    with drawing():
        figure = canvas(SINGLE if len(errors) == 1 else DOUBLE, 3.0 if aggregated else 2.4)
        panels = figure.subplots(
            2 if aggregated else 1,
            len(errors),
            squeeze=False,
            sharex="col",
            sharey="row",
            height_ratios=[3.0, 1.0] if aggregated else None,
        )
        for column, (method, ledgers) in enumerate(errors.items()):
            _panel(panels[0, column], ledgers, palette[method])
            of_one = f", {next(iter(systems))}" if len(systems) == 1 else ""
            title = wrapped(plain(f"{method}{of_one}"), 0.8 * figure.get_figwidth() / len(errors))
            panels[0, column].set_title(title, loc="left")
            panels[-1, column].set_xlabel("Parent call")
            panels[-1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
            if aggregated:
                _counts(panels[1, column], ledgers)
        panels[0, 0].set_yscale("log")
        panels[0, 0].set_ylabel("RMS force error (eV/Å)")
        if aggregated:
            panels[1, 0].set_ylabel("Relaxations")
        figure.legend(handles=_stages(), loc="outside lower center", ncols=2)
    return figure


def _errors(docs: Sequence[RelaxationDoc]) -> dict[str, list[Array]]:
    """By method, for each relaxation the errors of both stages, shape (2, calls)."""
    found: dict[str, list[Array]] = defaultdict(list)
    for doc in docs:
        table = np.array([_column(loaded_ledger(doc), stage) for stage in STAGES])
        if np.isfinite(table).any():
            found[doc.name].append(table)
    return dict(found)


def _column(ledger: Sequence[LedgerEntry], stage: str) -> Array:
    """NaN where a call has no error."""
    values = [getattr(entry, stage) for entry in ledger]
    return np.array([np.nan if value is None else value for value in values])


def _panel(axes: Axes, ledgers: Sequence[Array], look: Look) -> None:
    for row, label in enumerate(STAGES.values()):
        before = row == 0
        ways = [(np.arange(1, each.shape[1] + 1), each[row]) for each in ledgers]
        if len(ledgers) >= MIN_COUNT:
            calls, lower, middle, upper = _quartiles([each[row] for each in ledgers])
            ways = [(calls, middle)]
            axes.fill_between(
                calls,
                lower,
                upper,
                facecolor=look.color,
                alpha=0.15,
                hatch="////" if before else None,
                edgecolor=look.ink,
                linewidth=0.3,
            )
        for calls, errors in ways:
            axes.plot(
                calls,
                errors,
                linestyle="--" if before else "-",
                marker=look.marker,
                color=look.ink,
                markerfacecolor="white" if before else look.color,
                markersize=3.5,
                label=label,
            )


def _stages() -> list[Line2D]:
    """What dashed and hollow means, and what whole and filled, whatever the method."""
    return [
        Line2D(
            [],
            [],
            color=GREY,
            linestyle="-" if filled else "--",
            marker="o",
            markerfacecolor=GREY if filled else "white",
            label=label,
        )
        for filled, label in enumerate(STAGES.values())
    ]


def _quartiles(errors: Sequence[Array]) -> tuple[Array, Array, Array, Array]:
    """Call numbers with the three quartiles at each, where there are enough relaxations."""
    calls, found = [], []
    for call in range(max(len(each) for each in errors)):
        known = [each[call] for each in errors if len(each) > call and np.isfinite(each[call])]
        if len(known) >= MIN_COUNT:
            calls.append(call + 1)
            found.append(np.percentile(known, (25, 50, 75)))
    lower, middle, upper = np.array(found).reshape(-1, 3).T
    return np.array(calls, dtype=np.float64), lower, middle, upper


def _counts(axes: Axes, ledgers: Sequence[Array]) -> None:
    """Relaxations that have an error, of either stage, at each call."""
    counts = np.zeros(max(each.shape[1] for each in ledgers), dtype=np.int64)
    for each in ledgers:
        counts[: each.shape[1]] += np.isfinite(each).any(axis=0)
    axes.bar(np.arange(1, len(counts) + 1), counts, color="0.75", width=0.8)
