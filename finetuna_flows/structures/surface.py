"""Up and down on a slab: its normal, the heights of its atoms, its layers.

The surface is spanned by the first two cell vectors; the third one leads out of it.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array
from finetuna_flows.ties import first_highest, ranks

LAYER_TOLERANCE = 0.3
"""Å. Heights farther apart than this belong to different layers: more than a surface rumples,
less than the closest layers of a stepped metal, 0.7 Å on fcc (211)."""

EQUAL_GAPS = 1e-6
"""Å; of gaps between atoms that differ by less, the lowest in the cell is the widest one."""


def surface_normal(atoms: Atoms) -> Array:
    """Unit vector out of the surface, on the side of the third cell vector.

    Raises
    ------
    StructureError
        If the first two cell vectors span no plane.
    """
    a, b, c = np.asarray(atoms.cell)
    normal = np.cross(a, b)
    area = float(np.linalg.norm(normal))
    if area <= 1e-8:
        raise StructureError(
            f"the first two cell vectors of {atoms.symbols} span {area:g} Å² but a slab needs a "
            "surface along them"
        )
    return np.asarray(normal / (area if c @ normal >= 0 else -area))


def heights(atoms: Atoms) -> Array:
    """Height of each atom in Å above the lowest one, shape (n,).

    Where the cell is periodic along the normal, heights count from above the widest gap, so
    that a slab which sticks out of its cell still has its bottom at the bottom.
    """
    normal = surface_normal(atoms)
    raw = atoms.positions @ normal
    period = _period(atoms, normal)
    if period is None or not len(atoms):
        return np.asarray(raw - raw.min(initial=np.inf))
    levels, gaps = _gaps(raw, period)
    bottom = levels[(first_highest(gaps, EQUAL_GAPS) + 1) % len(levels)]
    # an atom just below the bottom by rounding must not land a whole period above it
    return np.asarray((raw - bottom + 1e-9) % period - 1e-9).clip(min=0.0)


def vacuum(atoms: Atoms) -> float:
    """Widest gap between atoms along the normal in Å; infinite where that is not periodic."""
    normal = surface_normal(atoms)
    period = _period(atoms, normal)
    if period is None or not len(atoms):
        return float("inf")
    return float(_gaps(atoms.positions @ normal, period)[1].max())


def layers(height: Array, tolerance: float = LAYER_TOLERANCE) -> NDArray[np.int64]:
    """Layer of each atom, from 0 at the bottom, shape (n,).

    Parameters
    ----------
    height
        Å, shape (n,), as `heights` gives them.
    tolerance
        Å; a wider gap between neighbouring heights separates two layers.
    """
    return ranks(height, tolerance)


def _period(atoms: Atoms, normal: Array) -> float | None:
    rise = float(atoms.cell[2] @ normal)
    return rise if atoms.pbc[2] and rise > 0 else None


def _gaps(raw: Array, period: float) -> tuple[Array, Array]:
    """Sorted heights within one period, and the gap above each."""
    levels = np.sort(raw % period)
    return levels, np.diff(levels, append=levels[0] + period)
