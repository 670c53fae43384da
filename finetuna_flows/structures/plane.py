"""A slab seen from above: places along its surface, heights, and the images of its atoms."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.axis import normal_last, surface_axis
from finetuna_flows.geometry import Array, Mask
from finetuna_flows.structures.prepare import tag_atoms
from finetuna_flows.structures.surface import heights, surface_normal
from finetuna_flows.structures.tags import Tag, find_adsorbate
from finetuna_flows.ties import within_cell

UP = 2
"""Index of the cell vector that leads out of a surface, as pymatgen cuts it and as `in_one_piece`
turns the cell."""
REACH = 12.0
"""Å along the surface; images of atoms are taken as far as this from the cell, and two cells."""
SAME_PLACE = 1e-4
"""Fractions of the vectors along the surface that differ by less are equal."""
EDGE = 0.01
"""Of these vectors; what is as near as this outside the cell may be inside by rounding."""


@dataclass(frozen=True)
class Plane:
    """Directions of a surface."""

    axes: Array
    """Two cell vectors that span it, in Å, and the unit vector out of it, shape (3, 3)."""

    @classmethod
    def of(cls, slab: Atoms) -> Plane:
        """The plane of the first two vectors of a slab, whose third one leads out of it."""
        return cls(np.vstack([np.asarray(slab.cell)[:2], surface_normal(slab, UP)]))

    def split(self, positions: Array) -> Array:
        """Fractions of the two vectors, from 0 to 1, and heights in Å; shape (n, 3)."""
        parts = positions @ np.linalg.inv(self.axes)
        return np.column_stack([within_cell(parts[:, :2], SAME_PLACE), parts[:, 2]])

    def flat(self, positions: Array) -> Array:
        """Cartesian coordinates along the surface in Å, shape (n, 2)."""
        first = self.axes[0] / np.linalg.norm(self.axes[0])
        return np.asarray(positions @ np.column_stack([first, np.cross(self.axes[2], first)]))

    def inside(self, flat: Array) -> Mask:
        """Which of the points that `flat` gives lie in the cell or next to its edge, shape (n,)."""
        parts = flat @ np.linalg.inv(self.flat(self.axes[:2]))
        return np.asarray(((parts > -EDGE) & (parts < 1 + EDGE)).all(axis=1))

    def shifts(self) -> Array:
        """Lattice vectors along the surface to images within reach, Å, shape (m, 3), 0 first."""
        area = float(np.linalg.norm(np.cross(*self.axes[:2])))
        widths = area / np.linalg.norm(self.axes[1::-1], axis=1)
        first, second = np.maximum(2, np.ceil(REACH / widths)).astype(int)
        steps = product(range(-first, first + 1), range(-second, second + 1))
        return np.array(sorted(steps, key=any)) @ self.axes[:2]


@dataclass(frozen=True)
class Images:
    """Atoms of a slab and their images along the surface, those in the cell first."""

    positions: Array
    """Å, shape (m, 3)."""
    atoms: NDArray[np.int64]
    """Which atom of the slab each is an image of, shape (m,)."""

    @classmethod
    def of(cls, slab: Atoms, plane: Plane) -> Images:
        """The images of all atoms."""
        inside = plane.split(slab.positions) @ plane.axes
        shifts = plane.shifts()
        everywhere = (inside[None] + shifts[:, None]).reshape(-1, 3)
        return cls(everywhere, np.tile(np.arange(len(slab)), len(shifts)))

    def chosen(self, which: Mask) -> Images:
        """The images that a mask of shape (m,) chooses."""
        return Images(self.positions[which], self.atoms[which])


def with_tags(slab: Atoms) -> Atoms:
    """The slab with OC20's tags: its own, unless they count layers."""
    own = slab.has("tags") and set(slab.get_tags().tolist()) <= {*Tag}
    mistaken = own and (slab.get_tags() == Tag.ADSORBATE).any() and not find_adsorbate(slab).indices
    return slab if own and not mistaken else tag_atoms(slab)


def in_one_piece(slab: Atoms) -> Atoms:
    """The slab with the atoms below its bottom moved up by whole cells.

    Its third cell vector leads out of the surface then.
    """
    whole = normal_last(slab, surface_axis(slab))
    if whole.pbc[UP]:
        normal = surface_normal(whole, UP)
        shift = heights(whole, UP) - whole.positions @ normal
        cells = np.round((shift - shift.min()) / (whole.cell[UP] @ normal))
        up = cells[:, None] * whole.cell[UP]
        whole.set_positions(whole.positions + up, apply_constraint=False)
    return whole
