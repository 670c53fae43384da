"""The cell that an embedded engine is given: a box where there is none, and its k-points."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from finetuna_flows.axis import has_vacuum
from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.ties import nearest_whole

BOX_STEP = 2.0
"""Å; boxes are multiples of it, so that a moving molecule seldom changes its box."""


def bare_copy(atoms: Atoms, vacuum: float) -> Atoms:
    """Nuclei in a cell and nothing else: no constraints, magnetic moments or charges.

    Where a cell vector is missing, a box is put round the atoms and they are moved into its
    middle. The box is a function of the geometry alone: a run that starts again gets the same.

    Parameters
    ----------
    atoms
        Left as they are.
    vacuum
        Å; the least distance of an atom from the wall of the box.

    Raises
    ------
    ParentError
        If a periodic direction has no cell vector.
    """
    missing = ~atoms.cell.any(1)
    for axis in np.flatnonzero(missing & atoms.pbc):
        raise ParentError(
            f"cell vector {axis} is zero but the structure is periodic along it; "
            "give the vector or switch the periodicity off"
        )
    vectors = atoms.cell.complete()  # the missing ones: of length 1, orthogonal to the others
    copy = Atoms(atoms.numbers, atoms.positions, cell=vectors, pbc=atoms.pbc)
    if missing.any():
        along = atoms.positions @ np.asarray(vectors)[missing].T
        needed = np.ptp(along, axis=0) + 2 * vacuum
        lengths = np.ones(3)
        # rounded up even if there is nothing to round: flat molecules do not stay flat
        lengths[missing] = BOX_STEP * (np.floor(np.round(needed / BOX_STEP, 6)) + 1)
        copy.set_cell(np.asarray(vectors) * lengths[:, None])
        copy.center(axis=tuple(np.flatnonzero(missing)))
    return copy


def crystal_lengths(atoms: Atoms) -> Array:
    """Å, shape (3,): cell lengths along which the crystal repeats; inf along vacuum."""
    lengths = np.array(atoms.cell.lengths())
    lengths[has_vacuum(atoms)] = np.inf
    return lengths


def kpoint_grid(atoms: Atoms, length: float) -> tuple[int, int, int]:
    """Points of a Monkhorst-Pack grid along each cell vector.

    The rule of the OC20 data set, round(length / cell length) along the surface and 1 across
    it, with the lengths of the vectors in the place of their largest components, so that
    turning the cell does not change the grid.

    Parameters
    ----------
    atoms
        With a cell along every periodic direction.
    length
        Å; OC20 itself takes 40.
    """
    a, b, c = (max(1, nearest_whole(each)) for each in length / crystal_lengths(atoms))
    return a, b, c
