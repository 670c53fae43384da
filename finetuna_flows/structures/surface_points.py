"""Where an adsorbate may bind: above an atom of the surface, between two, between more.

The surface are the atoms seen from above. The middle of two of them to which no third one is as
near is a bridge; the middle of three or more that are equally far from a point between them is a
hollow. These are the edges and faces of the surface's Delaunay triangulation, which pymatgen's
``AdsorbateSiteFinder`` takes too, but for two things: a polygon of atoms on one circle is left
whole, where a triangulation cuts it by chance, and an edge whose circle holds a third atom is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from finetuna_flows.geometry import Array, Mask
from finetuna_flows.structures.plane import SAME_PLACE, Images, Plane
from finetuna_flows.structures.surface import LAYER_TOLERANCE
from finetuna_flows.ties import order_by

Kind = Literal["ontop", "bridge", "hollow"]

EQUALLY_NEAR = 0.15
"""Å; surface atoms that a point touches may differ by this in their distance to it."""
COVERED = 0.9
"""Of an atom's distance to its nearest neighbour: higher atoms nearer than this, seen from above,
cover it where they lie all around, as at 0.58 the second layer of fcc (111), at 0.71 of (100), at
0.82 of bcc (100) and at 0.87 of fcc (110). The layers of bcc (111) lie open, at 0.94."""
RIGHT_ABOVE = 0.55
"""Of the same distance: one atom nearer than this covers by itself, as at 0 on rocksalt (100), at
0.52 the edge of fcc (311). The second layer of fcc (111) beside a single adatom lies at 0.58."""
ALL_AROUND = np.deg2rad(200.0)
"""Atoms that cover another one leave no wider angle open: half a circle, with what rumples."""
HALF_CIRCLE = np.deg2rad(181.0)
"""Atoms around a hollow leave no wider angle open: two may lie opposite, within a degree."""
SAME_ATOM = 1e-3
"""Å."""


@dataclass(frozen=True)
class Point:
    """A point of the surface, with the atoms it touches."""

    kind: Kind
    atoms: NDArray[np.int64]
    """The touched atoms of the slab, shape (n,)."""
    corners: Array
    """Those images of them that are touched, Å, shape (n, 3)."""

    @property
    def position(self) -> Array:
        """The middle of the touched atoms, Å, shape (3,)."""
        return np.asarray(self.corners.mean(axis=0))


def surface_points(slab: Atoms) -> list[Point]:
    """All points of one cell where an adsorbate may bind.

    Parameters
    ----------
    slab
        In one piece along its normal, without adsorbates.
    """
    plane = Plane.of(slab)
    images = Images.of(slab, plane)
    seen = seen_from_above(slab, images, plane)
    surface = images.chosen(seen[images.atoms])
    flat = plane.flat(surface.positions)
    cells = Voronoi(flat)
    points = [_point("ontop", surface, np.array([i])) for i in range(int(seen.sum()))]
    middles = flat[cells.ridge_points].mean(axis=1)
    inside = plane.inside(middles)
    for middle, pair in zip(middles[inside], np.sort(cells.ridge_points[inside]), strict=True):
        if np.array_equal(_nearest(flat, middle), pair):
            points.append(_point("bridge", surface, pair))
    for vertex in cells.vertices[plane.inside(cells.vertices)]:
        ring = _nearest(flat, vertex)
        if len(ring) > 2 and _widest_angle(flat[ring] - vertex) < HALF_CIRCLE:
            points.append(_point("hollow", surface, ring))
    return list(_once(points, plane))


def seen_from_above(slab: Atoms, images: Images, plane: Plane) -> Mask:
    """Which atoms higher ones do not cover, shape (n,)."""
    flat, height = plane.flat(images.positions), images.positions @ plane.axes[2]
    seen = [not _covered(flat - flat[i], height - height[i]) for i in range(len(slab))]
    return np.array(seen, dtype=bool)


def _covered(ways: Array, above: Array) -> bool:
    """Whether atoms at `ways`, shape (n, 2), and `above` cover the one at 0, which is among them.

    Atoms that are more than a neighbour's distance above cover what is as near as a neighbour.
    """
    aside = np.linalg.norm(ways, axis=1)
    distance = np.hypot(aside, above)
    nearest = float(distance[distance > SAME_ATOM].min())
    higher = above > LAYER_TOLERANCE
    if (higher & (aside < RIGHT_ABOVE * nearest)).any():
        return True
    reach = np.where(above < nearest, COVERED, 1.0) * nearest
    return bool(_widest_angle(ways[higher & (aside < reach)]) < ALL_AROUND)


def _nearest(flat: Array, place: Array) -> NDArray[np.int64]:
    distance = np.linalg.norm(flat - place, axis=1)
    return np.flatnonzero(distance < distance.min() + EQUALLY_NEAR)


def _widest_angle(ways: Array) -> float:
    """The widest angle in radians that `ways`, shape (n, 2), leave open around their start."""
    if not len(ways):
        return 2 * np.pi
    angles = np.sort(np.arctan2(ways[:, 1], ways[:, 0]))
    return float(np.diff(angles, append=angles[0] + 2 * np.pi).max())


def _point(kind: Kind, surface: Images, corners: NDArray[np.int64]) -> Point:
    return Point(kind, surface.atoms[corners], surface.positions[corners])


def _once(points: list[Point], plane: Plane) -> Iterator[Point]:
    """Each point without its images, those that touch most first."""
    split = plane.split(np.array([point.position for point in points]))
    touched = [-len(point.atoms) for point in points]
    taken: list[Array] = []
    for index in order_by([touched, *split.T], SAME_PLACE):
        off = np.array(taken).reshape(-1, 2) - split[index, :2]
        away = np.linalg.norm((off - np.round(off)) @ plane.axes[:2], axis=1)
        if not (away < EQUALLY_NEAR).any():
            taken.append(split[index, :2])
            yield points[index]
