"""Trajectories of several methods in the plane of principal components (Fig. 2c of the paper).

Every geometry of one system becomes one vector, its `B2` descriptor averaged over the free atoms
of each element; the principal components are those of all geometries of all methods together. As
in the authors' code each number is first divided by its standard deviation, so the axes have no
unit. Unlike there, fixed atoms do not count, and like atoms are averaged, not listed one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetuna_flows.geometry import Array
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.figures.components import principal_components
from finetuna_flows.results.figures.descriptor import B2
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


def paths_figure(
    docs: Sequence[RelaxationDoc],
    *,
    palette: Mapping[str, Look] | None = None,
    descriptor: B2 | None = None,
) -> Figure:
    """Draw the ways of several relaxations of one system through the space of B2 descriptors.

    A line joins all geometries, dots are those that the parent labelled, rings are the ends, and a
    star is the start of the first relaxation.

    Parameters
    ----------
    docs
        One a method, of the same atoms, with their trajectories loaded.
    palette
        Looks that methods have already.
    descriptor
        Settings; None: the default ones.

    Raises
    ------
    NothingToDrawError
        If nothing moves.
    ValueError
        If the relaxations are of different atoms, or a trajectory is not loaded.
    """
    trajectories = [drawn_trajectory(doc) for doc in docs]
    _check_same_atoms(trajectories)
    found = principal_components(_vectors(trajectories, descriptor or B2()))
    palette = completed(palette, [doc.name for doc in docs])
    counts = [len(each.positions) for each in trajectories]
    ways = np.split(found.scores, np.cumsum(counts)[:-1])
    with drawing():
        figure = canvas(SINGLE, 3.4)
        axes = figure.subplots()
        for doc, trajectory, way in zip(docs, trajectories, ways, strict=True):
            _way(axes, way, doc, trajectory, palette[doc.name])
        _signs(axes, ways[0][0])
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_title(plain(docs[0].system or docs[0].formula_pretty or ""), loc="left")
        axes.set_xlabel(f"Principal component 1 ({100 * found.explained[0]:.0f} % of variance)")
        axes.set_ylabel(f"Principal component 2 ({100 * found.explained[1]:.0f} %)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _check_same_atoms(trajectories: Sequence[Trajectory]) -> None:
    if not trajectories:
        raise NothingToDrawError("there is no relaxation")
    if len({each.symbols for each in trajectories}) > 1:
        raise ValueError(
            "the relaxations are of different atoms but must be of one system; give those of one "
            "comparison"
        )


def _vectors(trajectories: Sequence[Trajectory], descriptor: B2) -> Array:
    """Of the atoms that the first may move; shape (geometries of all, numbers)."""
    first = trajectories[0]
    bare = Atoms(first.symbols, cell=first.cell, pbc=first.pbc)
    elements = tuple(sorted(set(bare.numbers.tolist())))
    free = np.array([any(components) for components in first.free])
    rows = []
    for trajectory in trajectories:
        for positions in trajectory.positions:
            bare.set_positions(positions)
            rows.append(descriptor.of_structure(bare, free, elements))
    return np.array(rows)


def _way(axes: Axes, way: Array, doc: RelaxationDoc, trajectory: Trajectory, look: Look) -> None:
    axes.plot(way[:, 0], way[:, 1], color=look.ink, linewidth=0.7, alpha=0.8, label="_")
    labelled = np.flatnonzero(trajectory.labelled)
    axes.plot(
        way[labelled, 0],
        way[labelled, 1],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markeredgecolor=look.ink,
        markersize=3,
        label=plain(doc.name),
    )
    end = endpoint(doc, trajectory)
    axes.plot(
        way[end, 0],
        way[end, 1],
        linestyle="none",
        marker="o",
        markersize=8,
        markerfacecolor="none",
        markeredgecolor=look.ink,
        label="_end",
    )


def _signs(axes: Axes, start: Array) -> None:
    """The start, and what rings mean, for the legend."""
    axes.plot(
        start[:1],
        start[1:],
        linestyle="none",
        marker="*",
        color="white",
        markeredgecolor="black",
        markersize=9,
        zorder=4,
        label="start",
    )
    (ring,) = axes.plot([], [], linestyle="none", marker="o", color=GREY, label="end")
    ring.set(markersize=6, markerfacecolor="none")
