"""Which atom of the files is which of the structure that was given to be relaxed."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import displacements, free_components
from finetuna_flows.structures.constraints import constraints_from

logger = logging.getLogger(__name__)

Indices = NDArray[np.int64]

NEAR = 0.1
"""Å by which an atom's first position may differ."""


class Started(Protocol):
    """Where a relaxation of some files started; a `FinishedRun` of VASP is one."""

    @property
    def source(self) -> str:
        """What it was read from."""

    @property
    def start(self) -> Atoms:
        """The geometry in the order of the files, with the constraints that are known."""

    @property
    def constraints_known(self) -> bool:
        """Whether the files say which atoms are fixed."""


def matched(run: Started, like: Atoms | None) -> tuple[Atoms, Indices]:
    """The start of a relaxation, and for each of its atoms the index that it has in its files.

    Parameters
    ----------
    run
        What was read; of VASP, its first start.
    like
        Whose order, images and tags the start gets; None: the order and the tags of the files.

    Raises
    ------
    StructureError
        If `like` holds other atoms, has another cell, or lies elsewhere, or if other atoms are
        fixed in it than the files say.
    """
    if like is None:
        if not run.constraints_known:
            logger.warning("%s does not say which atoms are fixed; all count as free", run.source)
        return run.start, np.arange(len(run.start))
    order = _order(run, like)
    start: Atoms = like.copy()
    way = displacements(like.positions, run.start.positions[order], run.start)
    start.set_positions(like.positions + way, apply_constraint=False)
    start.set_cell(run.start.cell)
    if run.constraints_known:
        free = free_components(run.start)[order]
        _check_constraints(run, like, free)
        start.set_constraint(constraints_from(free))
    return start, order


def _order(run: Started, like: Atoms) -> Indices:
    theirs = run.start
    if sorted(theirs.numbers) != sorted(like.numbers):
        raise StructureError(
            f"{run.source} relaxes {theirs.symbols} but the structure is {like.symbols}; "
            "name the calculation that started from it"
        )
    if not np.allclose(theirs.cell, like.cell, atol=NEAR, rtol=0.0):
        raise StructureError(
            f"{run.source} has the cell {np.round(theirs.cell[:], 4).tolist()} but the structure "
            f"{np.round(like.cell[:], 4).tolist()}; name the calculation that started from it"
        )
    order = np.full(len(like), -1, dtype=np.int64)
    for index, (number, position) in enumerate(zip(like.numbers, like.positions, strict=True)):
        candidates = np.setdiff1d(np.flatnonzero(theirs.numbers == number), order)
        there = theirs.positions[candidates]
        distances = np.linalg.norm(
            displacements(np.broadcast_to(position, there.shape), there, theirs), axis=1
        )
        nearest = int(np.argmin(distances))
        if distances[nearest] > NEAR:
            raise StructureError(
                f"atom {index} ({like.symbols[index]}) of the structure is {distances[nearest]:.3f}"
                f" Å from any of {run.source}'s first geometry but may be {NEAR} Å; name the "
                "calculation that started from it"
            )
        order[index] = candidates[nearest]
    return order


def _check_constraints(run: Started, like: Atoms, free: NDArray[np.bool_]) -> None:
    differing = np.flatnonzero((free != free_components(like)).any(axis=1))
    if len(differing):
        index = differing[0]
        words = "moved" if free[index].any() else "fixed"
        raise StructureError(
            f"{run.source} {words} atom {index} ({like.symbols[index]}), and the structure does "
            f"not ({len(differing)} of {len(like)} atoms differ); constrain it as was done there"
        )
