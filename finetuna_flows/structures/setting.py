"""One setting of a slab's cell: of all that describe the same slab, one is chosen by rule.

A hexagonal lattice has six pairs of shortest vectors, a square one four, and every atom can be the
origin. Which of them the reduction of a cell ends in hangs on the last bit.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.geometry import Array
from finetuna_flows.structures.plane import UP
from finetuna_flows.structures.surface import heights, layers
from finetuna_flows.ties import on_grid, order_by, within_cell

GRID = 8
"""Decimals of Å to which positions and cells that are built here are rounded, as many as extended
XYZ files hold: what is written and read again is the same to the last bit."""
EQUAL_LENGTHS = 1e-4
"""Å, and Å² of a scalar product: vectors of a lattice that differ by less are equal."""
PLACES = 4
"""Decimals of fractional coordinates by which settings are compared."""
SAME_PLACE = 10.0**-PLACES
"""Fractional coordinates that differ by less are equal."""


def in_setting(slab: Atoms) -> Atoms:
    """The same slab in the setting chosen by rule.

    The shortest vectors span the surface, the shorter one along x, at an acute angle where acute
    and obtuse ones are equally short. An atom of the top layer lies at the origin. Of the settings
    that are left, it is the one whose atoms, counted from the top layer down, have the highest
    fractional coordinates from 0 to 1: on fcc (111) the second layer lies at 2/3, as in
    ``ase.build.fcc111``.

    Parameters
    ----------
    slab
        Primitive, with its first two vectors in the plane z = 0, reduced, and the third along z.
    """
    depth = layers(-heights(slab, UP))
    flat = slab.positions[:, :2]
    bases = _bases(np.asarray(slab.cell)[:2, :2])
    settings = [
        _standing(slab, basis, (flat - origin) @ np.linalg.inv(basis))
        for basis, origin in product(bases, flat[depth == 0])
    ]
    return max(settings, key=lambda each: _places(each, depth))


def in_order(slab: Atoms) -> Atoms:
    """The atoms by layer from the bottom, in a layer by their fractional coordinates."""
    along_a, along_b = _fractions(slab).T
    columns = [layers(heights(slab, UP)), along_a, along_b, slab.positions[:, 2]]
    ordered: Atoms = slab[order_by(columns, SAME_PLACE)]
    return ordered


def gridded(slab: Atoms) -> Atoms:
    """The slab with its cell and positions on the grid: the same numbers from any kernel."""
    rounded: Atoms = slab.copy()
    rounded.set_cell(on_grid(slab.cell.array, GRID))
    rounded.set_positions(on_grid(slab.positions, GRID), apply_constraint=False)
    return rounded


def _bases(lattice: Array) -> list[Array]:
    """All right-handed pairs of shortest vectors, at an acute angle if there are such pairs."""
    vectors = [np.array(step) @ lattice for step in product((-1, 0, 1), repeat=2) if any(step)]
    area = abs(float(np.linalg.det(lattice)))
    pairs = np.array(list(product(vectors, repeat=2)))
    pairs = pairs[np.isclose(np.linalg.det(pairs), area, rtol=1e-6)]
    lengths = np.linalg.norm(pairs, axis=2)
    obtuse = np.einsum("ij,ij->i", pairs[:, 0], pairs[:, 1]) < -EQUAL_LENGTHS
    kept = np.ones(len(pairs), dtype=bool)
    for column in (*lengths.T, obtuse.astype(float)):
        kept &= column <= column[kept].min() + EQUAL_LENGTHS
    return list(pairs[kept])


def _standing(slab: Atoms, basis: Array, fractions: Array) -> Atoms:
    """The slab turned so that the first vector of the basis lies along x, at the given places."""
    first = float(np.linalg.norm(basis[0]))
    along = float(basis[0] @ basis[1]) / first
    across = float(np.linalg.det(basis)) / first
    plane = np.array([[first, 0.0], [along, across]])
    cell = np.zeros((3, 3))
    cell[:2, :2] = plane
    cell[2] = slab.cell[2]
    positions = np.column_stack([within_cell(fractions, SAME_PLACE) @ plane, slab.positions[:, 2]])
    return Atoms(slab.numbers, positions=positions, cell=cell, pbc=slab.pbc)


def _places(slab: Atoms, depth: NDArray[np.int64]) -> list[tuple[float, ...]]:
    """What settings are compared by: layer from the top, place in it, element, height; sorted."""
    fractions = on_grid(_fractions(slab), PLACES) % 1.0
    levels = on_grid(slab.positions[:, 2], PLACES)
    rows = np.column_stack([depth, fractions, slab.numbers, levels])
    return sorted(map(tuple, rows.tolist()))


def _fractions(slab: Atoms) -> Array:
    return within_cell(slab.get_scaled_positions(wrap=False)[:, :2], SAME_PLACE)
