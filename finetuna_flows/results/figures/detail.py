"""One relaxation step by step, with the parent's labels as dots (Fig. 2a, b of the paper)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finetuna_flows.geometry import Array
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
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
from finetuna_flows.results.figures.trajectory import drawn_trajectory, endpoint
from finetuna_flows.results.scale import numbers, shift_of


def detail_figure(doc: RelaxationDoc, *, palette: Mapping[str, Look] | None = None) -> Figure:
    """Draw energy and fmax of every step: the surrogate's as lines, the parent's as dots.

    Energies are relative to the parent's at the endpoint. Predictions that are on a scale of their
    own are shifted (see `shift_of`), and the legend says by how much. Where no surrogate took part
    the line joins the labels.

    Parameters
    ----------
    doc
        With its trajectory loaded.
    palette
        Looks that methods have already.

    Raises
    ------
    NothingToDrawError
        If the parent never answered.
    ValueError
        If the trajectory is not loaded.
    """
    trajectory = drawn_trajectory(doc)
    if not any(trajectory.labelled):
        raise NothingToDrawError(f"the parent never labelled a geometry of {doc.uuid}")
    look = completed(palette, [doc.name])[doc.name]
    with drawing():
        figure = canvas(SINGLE, 3.6)
        upper, lower = figure.subplots(2, 1, sharex=True)
        end = trajectory.energies[endpoint(doc, trajectory)]
        _energies(upper, trajectory, end, look)
        _forces(lower, trajectory, doc.fmax_threshold, look)
        lower.set_xlabel("Step")
        upper.set_title(plain(f"{doc.name}, {doc.system or doc.formula_pretty}"), loc="left")
        figure.legend(loc="outside lower center")
    return figure


def _energies(axes: Axes, trajectory: Trajectory, end: float, look: Look) -> None:
    energies = np.array(trajectory.energies) - end
    predicted = numbers(trajectory.predicted_energies)
    shift = shift_of(trajectory)
    if shift is not None:
        moved = predicted + shift.of_steps(trajectory) - end
        axes.plot(moved, color=look.ink, linewidth=0.8, label=shift.sentence)
    _labels(axes, energies, predicted, trajectory, look)
    axes.set_ylabel("Energy − final (eV)")


def _forces(axes: Axes, trajectory: Trajectory, threshold: float, look: Look) -> None:
    predicted = numbers(trajectory.predicted_fmax)
    if np.isfinite(predicted).any():
        axes.plot(predicted, color=look.ink, linewidth=0.8)
    _labels(axes, np.array(trajectory.fmax), predicted, trajectory, look, label="_")
    label = f"threshold, {threshold:g} eV/Å"
    axes.axhline(threshold, color=GREY, linestyle="--", linewidth=0.8, label=label)
    axes.set_yscale("log")
    axes.set_ylabel("Largest force (eV/Å)")


def _labels(
    axes: Axes,
    told: Array,
    predicted: Array,
    trajectory: Trajectory,
    look: Look,
    label: str = "parent's label",
) -> None:
    """Dots, joined where no surrogate took part."""
    steps = np.arange(len(told))
    labelled = np.array(trajectory.labelled)
    alone = np.where(labelled & np.isnan(predicted), told, np.nan)
    if np.isfinite(alone).any():
        axes.plot(steps, alone, color=look.ink, linewidth=0.8, label="_alone")
    axes.plot(
        steps[labelled],
        told[labelled],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markeredgecolor=look.ink,
        markersize=3.5,
        label=label,
    )
