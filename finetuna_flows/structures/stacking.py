"""What lies under a hollow between close-packed atoms."""

from __future__ import annotations

from typing import Literal

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array
from finetuna_flows.structures.plane import Images, Plane
from finetuna_flows.structures.surface import LAYER_TOLERANCE
from finetuna_flows.structures.surface_points import Point

Stacking = Literal["hcp", "fcc"]

EQUAL_EDGES = 1.1
"""Edges of a triangle of close-packed atoms, and their distance to their nearest neighbours, differ
by a smaller factor; on bcc (110) it is 1.15."""
RIGHT_BELOW = 0.25
"""Of the edge; the nearest atom to where one of the second layer would be is at 0 under an hcp
hollow and at 0.58 under an fcc one."""


def stacking(hollow: Point, slab: Atoms) -> Stacking | None:
    """Whether an atom of the second layer lies right below; None where nothing is close-packed.

    It would touch all three atoms of the hollow, as the fourth corner of a tetrahedron, whichever
    way the triangle is tilted, as on the terrace of a stepped surface.
    """
    if len(hollow.atoms) != 3:
        return None
    edges = np.linalg.norm(hollow.corners - np.roll(hollow.corners, 1, axis=0), axis=1)
    plane = Plane.of(slab)
    images = Images.of(slab, plane).positions
    to_corners = np.linalg.norm(images[:, None] - hollow.corners, axis=2)
    nearest = np.where(to_corners > 1e-3, to_corners, np.inf).min(axis=0)
    if edges.max() > EQUAL_EDGES * min(edges.min(), nearest.min()):
        return None
    tip = hollow.position - np.sqrt(2 / 3) * edges.mean() * _normal(hollow, plane.axes[2])
    if np.linalg.norm(images - tip, axis=1).min() < RIGHT_BELOW * edges.mean():
        return "hcp"
    deepest = (hollow.corners @ plane.axes[2]).min() - LAYER_TOLERANCE
    return "fcc" if (images @ plane.axes[2] < deepest).any() else None


def _normal(hollow: Point, up: Array) -> Array:
    first, second, third = hollow.corners
    normal = np.cross(second - first, third - first)
    return np.asarray(normal / np.linalg.norm(normal) * np.sign(normal @ up))
