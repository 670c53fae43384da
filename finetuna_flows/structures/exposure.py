"""Whether an atom lies outside of a slab: whether a straight way leads from it into the vacuum."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

from finetuna_flows.axis import is_periodic
from finetuna_flows.geometry import Array
from finetuna_flows.structures.surface import heights, surface_normal

BALL = 1.25
"""Times its covalent radius (Cordero et al., Dalton Trans. 2832 (2008), as in ASE) an atom of the
slab blocks the way: so no way leads through the triangles of atoms in the top layer of a metal."""
TILTS = (0.0, 25.0, 50.0)
"""Degrees from the surface normal; beside a step the way up leads away from it."""
AZIMUTHS = 8
"""Ways around the normal for each tilt."""


def is_exposed(atoms: Atoms, index: int, slab: NDArray[np.int64], axis: int) -> bool:
    """Whether a way out of the surface, on either side, meets no atom of the slab.

    Parameters
    ----------
    atoms
        With periodic images along the surface.
    index
        Of the atom.
    slab
        Indices of the atoms that may be in the way.
    axis
        Index of the cell vector that leads out of the surface.
    """
    away = _from_atom(atoms, index, slab, axis)
    radius = BALL * covalent_radii[atoms.numbers[slab]]
    for way in _ways(atoms, axis):
        along = away @ way
        aside = np.linalg.norm(away - along[..., None] * way, axis=2)
        if not ((along > 0) & (aside < radius)).any():
            return True
    return False


def _ways(atoms: Atoms, axis: int) -> Array:
    """Unit vectors, shape (m, 3), from near the normal to slanting, on both sides."""
    normal = surface_normal(atoms, axis)
    first = atoms.cell[(axis + 1) % 3] / np.linalg.norm(atoms.cell[(axis + 1) % 3])
    second = np.cross(normal, first)
    ways = []
    for tilt, turn in product(np.radians(TILTS), 2 * np.pi * np.arange(AZIMUTHS) / AZIMUTHS):
        flat = np.cos(turn) * first + np.sin(turn) * second
        ways.append(np.cos(tilt) * normal + np.sin(tilt) * flat)
    return np.concatenate([ways, -np.array(ways)])


def _from_atom(atoms: Atoms, index: int, slab: NDArray[np.int64], axis: int) -> Array:
    """Å, shape (m, n, 3): from the atom to the slab that is nearest, and to its images beside."""
    normal = surface_normal(atoms, axis)
    height = heights(atoms[slab], axis)
    away = atoms.positions[slab] - atoms.positions[index]
    level = away @ normal
    bottom = float((level - height)[np.argmin(height)])
    if is_periodic(atoms)[axis]:
        rise = atoms.cell[axis] @ normal
        middle = bottom + height.max() / 2
        bottom -= rise * np.round(middle / rise)
        away += np.round((bottom + height - level) / rise)[:, None] * atoms.cell[axis]
    return np.asarray(away + _beside(atoms, axis, height.max())[:, None])


def _beside(atoms: Atoms, axis: int, thickness: float) -> Array:
    """Å, shape (m, 3): to the images along the surface that a slanting way may meet."""
    reach = thickness * np.tan(np.radians(max(TILTS))) + 2 * BALL * covalent_radii.max()
    counts = np.zeros(3, dtype=int)
    across = np.linalg.norm(np.linalg.inv(atoms.cell.complete()), axis=0)
    counts[is_periodic(atoms)] = np.ceil(reach * across + 1)[is_periodic(atoms)]
    counts[axis] = 0
    steps = list(product(*(range(-count, count + 1) for count in counts)))
    return np.asarray(np.array(steps, dtype=np.float64) @ np.asarray(atoms.cell.complete()))
