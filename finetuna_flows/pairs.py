"""Which atoms are near enough to each other to interact, each pair counted once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.optimization.neighbors import find_points_in_spheres

from finetuna_flows.geometry import Array


@dataclass(frozen=True)
class Pairs:
    """All pairs of atoms within a cutoff, periodic images included, m of them."""

    first: NDArray[np.int64]
    """Index of one atom, shape (m,)."""
    second: NDArray[np.int64]
    """Index of the other, shape (m,)."""
    vectors: Array
    """Å, shape (m, 3), from the first to the second."""


def find_pairs(atoms: Atoms, cutoff: float) -> Pairs:
    """Search the pairs closer than `cutoff` (Å).

    An atom forms pairs with its own images; of the two directions of a pair one is kept.
    """
    cell = np.ascontiguousarray(atoms.cell.complete().array)
    positions = np.ascontiguousarray(atoms.get_positions())
    first, second, images, _ = find_points_in_spheres(
        positions, positions, cutoff, np.array(atoms.pbc, dtype=np.int64), cell
    )
    kept = (first < second) | ((first == second) & _leads(images))
    first, second, images = first[kept], second[kept], images[kept]
    return Pairs(first, second, positions[second] + images @ cell - positions[first])


def _leads(images: Array) -> NDArray[np.bool_]:
    """Whether the first index of an image that is not zero is positive, shape (m,)."""
    x, y, z = images.T
    leads: NDArray[np.bool_] = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    return leads
