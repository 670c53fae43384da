"""Up and down on a slab: its normal, the heights of its atoms, its layers.

Two cell vectors span the surface; the third one, its axis, leads out of it. Where a caller does not
know the axis, it is found by the widest gap between atoms.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.axis import AXES, gaps, is_periodic, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array
from finetuna_flows.ties import first_highest, ranks

LAYER_TOLERANCE = 0.3
"""Å. Heights farther apart than this belong to different layers: more than a surface rumples,
less than the closest layers of a stepped metal, 0.7 Å on fcc (211)."""

EQUAL_GAPS = 1e-6
"""Å; of gaps between atoms that differ by less, the lowest in the cell is the widest one."""


def surface_normal(atoms: Atoms, axis: int | None = None) -> Array:
    """Unit vector out of the surface, on the side of the cell vector that is its axis.

    Parameters
    ----------
    atoms
        A slab.
    axis
        Index of that cell vector; None: as `surface_axis` finds it.

    Raises
    ------
    StructureError
        If the two other cell vectors span no plane.
    """
    out = surface_axis(atoms) if axis is None else axis
    first, second = ((out + 1) % 3, (out + 2) % 3)
    normal = np.cross(atoms.cell[first], atoms.cell[second])
    area = float(np.linalg.norm(normal))
    if area <= 1e-8:
        names = " and ".join(AXES[each] for each in sorted((first, second)))
        raise StructureError(
            f"the cell vectors {names} of {atoms.symbols} span {area:g} Å² but a slab needs a "
            "surface along them"
        )
    return np.asarray(normal / (area if atoms.cell[out] @ normal >= 0 else -area))


def heights(atoms: Atoms, axis: int | None = None) -> Array:
    """Height of each atom in Å above the lowest one, shape (n,).

    Where the cell is periodic along the normal, heights count from above the widest gap, so
    that a slab which sticks out of its cell still has its bottom at the bottom.

    Parameters
    ----------
    atoms
        A slab.
    axis
        Index of the cell vector out of the surface; None: as `surface_axis` finds it.
    """
    if not len(atoms):
        return np.zeros(0)
    out = surface_axis(atoms) if axis is None else axis
    normal = surface_normal(atoms, out)
    raw = np.asarray(atoms.positions @ normal)
    if not is_periodic(atoms)[out]:
        return np.asarray(raw - raw.min())
    period = float(atoms.cell[out] @ normal)
    levels = np.sort(raw % period)
    widest = first_highest(np.diff(levels, append=levels[0] + period), EQUAL_GAPS)
    bottom = levels[(widest + 1) % len(levels)]
    # an atom just below the bottom by rounding must not land a whole period above it
    return np.asarray((raw - bottom + 1e-9) % period - 1e-9).clip(min=0.0)


def vacuum(atoms: Atoms, axis: int | None = None) -> float:
    """Widest gap between atoms along the normal in Å; infinite where that is not periodic.

    Parameters
    ----------
    atoms
        A slab.
    axis
        Index of the cell vector out of the surface; None: as `surface_axis` finds it.
    """
    return float(gaps(atoms)[surface_axis(atoms) if axis is None else axis])


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
