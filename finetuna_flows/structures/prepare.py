"""Make a structure ready: fix its bottom, tag slab and adsorbate, shake it a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from monty.json import MSONable
from numpy.typing import NDArray

from finetuna_flows.axis import AXES, is_periodic, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array, free_components, moved
from finetuna_flows.structures.constraints import constraints_from
from finetuna_flows.structures.surface import LAYER_TOLERANCE, heights, layers, surface_normal
from finetuna_flows.structures.tags import (
    ADSORBATE_FROM,
    NAMED,
    Tag,
    find_adsorbate,
    tagged_adsorbate,
)

BELOW = 0.5
"""Å by which an adsorbate must be nearer to the bottom of the slab than to its top to lie below."""


def fix_bottom_layers(
    atoms: Atoms,
    n_layers: int,
    tolerance: float = LAYER_TOLERANCE,
    *,
    axis: int | None = None,
) -> Atoms:
    """Fix the lowest layers of the slab, besides what is fixed already.

    Parameters
    ----------
    atoms
        Atoms tagged as adsorbate belong to no layer.
    n_layers
        How many to fix.
    tolerance
        Å; a wider gap between neighbouring heights separates two layers.
    axis
        Index of the cell vector that leads up, out of the surface; None: as `surface_axis` finds
        it.

    Raises
    ------
    StructureError
        If the slab has fewer layers, its surface is not known, the adsorbate lies below it, or its
        whole top layer is fixed and nothing of the lowest.
    """
    if n_layers < 0:
        raise ValueError(f"`n_layers` is {n_layers} but must not be negative")
    adsorbate = tagged_adsorbate(atoms)
    slab = np.setdiff1d(np.arange(len(atoms)), adsorbate)
    up = surface_axis(atoms, adsorbate) if axis is None else axis
    layer = layers(heights(atoms[slab], up), tolerance)
    found = int(layer.max(initial=-1)) + 1
    if n_layers > found:
        raise StructureError(
            f"`n_layers` is {n_layers} but the slab has {found} (heights more than {tolerance:g} Å "
            "apart make two layers); fix fewer"
        )
    free = free_components(atoms)
    if n_layers:
        _check_bottom(atoms, slab, layer, up)
    free[slab[layer < n_layers]] = False
    fixed: Atoms = atoms.copy()
    fixed.set_constraint(constraints_from(free))
    return fixed


def _check_bottom(
    atoms: Atoms, slab: NDArray[np.int64], layer: NDArray[np.int64], axis: int
) -> None:
    """Refuse to fix the adsorbate's side, or the free side of a slab whose other one is fixed."""
    adsorbate = np.setdiff1d(np.arange(len(atoms)), slab)
    if len(adsorbate) and (_above_middle(atoms, slab, adsorbate, axis) < -BELOW).all():
        raise StructureError(
            f"the adsorbate {atoms.symbols[adsorbate]} lies below the slab, where layers would be "
            f"fixed: up is along {AXES[axis]}; turn the structure over, or fix its atoms in the "
            "file"
        )
    fixed = np.asarray(~free_components(atoms)[slab].any(axis=1))
    if fixed[layer == layer.max()].all() and not fixed[layer == 0].any():
        raise StructureError(
            f"the top layer of {atoms.symbols} is fixed and its bottom is not, where layers would "
            f"be fixed: up is along {AXES[axis]}; turn the structure over, or fix its atoms in the "
            "file"
        )


def _above_middle(
    atoms: Atoms, slab: NDArray[np.int64], others: NDArray[np.int64], axis: int
) -> Array:
    """Å along the normal, from the nearest image of the slab's middle to each other atom."""
    normal = surface_normal(atoms, axis)
    height = heights(atoms[slab], axis)
    lowest = int(np.argmin(height))
    middle = atoms.positions[slab[lowest]] @ normal + height.max() / 2
    above = atoms.positions[others] @ normal - middle
    if is_periodic(atoms)[axis]:
        rise = atoms.cell[axis] @ normal
        above -= rise * np.floor(above / rise + 0.5 - BELOW / rise)
    return np.asarray(above)


def tag_atoms(atoms: Atoms, adsorbate_indices: Sequence[int] | None = None) -> Atoms:
    """Tag atoms as OC20 does: 0 a fixed atom of the slab, 1 a free one, 2 the adsorbate.

    Parameters
    ----------
    atoms
        With the constraints it is to have; an atom that is fixed in part counts as free.
    adsorbate_indices
        The adsorbate, which counts as named then, whatever it looks like; None: the one that the
        tags tell, see `find_adsorbate`.
    """
    tags = np.where(free_components(atoms).any(axis=1), Tag.SURFACE, Tag.SUBSURFACE)
    known = find_adsorbate(atoms)
    if adsorbate_indices is None:
        adsorbate = np.array(known.indices, dtype=np.int64)
    else:
        adsorbate = np.asarray(adsorbate_indices, dtype=np.int64)
        outside = adsorbate[(adsorbate < 0) | (adsorbate >= len(atoms))]
        if len(outside):
            raise ValueError(
                f"adsorbate index is {outside[0]} but must be from 0 to {len(atoms) - 1}"
            )
    tags[adsorbate] = Tag.ADSORBATE
    tagged: Atoms = atoms.copy()
    tagged.set_tags(tags)
    if adsorbate_indices is not None:
        tagged.info[ADSORBATE_FROM] = NAMED
    elif not known.indices and tagged.info.get(ADSORBATE_FROM) != NAMED and atoms.has("tags"):
        tagged.info[ADSORBATE_FROM] = known.reason
    return tagged


def rattle(atoms: Atoms, stdev: float, seed: int) -> Atoms:
    """Displace every free component by a normal deviate.

    Parameters
    ----------
    atoms
        Fixed components stay.
    stdev
        Å.
    seed
        Of the generator; atom i gets the same deviate whatever is fixed.
    """
    if not stdev >= 0:
        raise ValueError(f"`stdev` is {stdev} but must not be negative")
    noise = np.random.default_rng(seed).normal(0.0, stdev, (len(atoms), 3))
    return moved(atoms, atoms.positions + np.where(free_components(atoms), noise, 0.0))


@dataclass(frozen=True)
class Preparation(MSONable):
    """What to do with a structure before it is relaxed; as it stands, nothing."""

    adsorbate: tuple[int, ...] | None = None
    """Indices of the adsorbate; None: what the structure's tags say."""
    fixed_layers: int = 0
    """How many layers of the slab to fix from below."""
    layer_tolerance: float = LAYER_TOLERANCE
    """Å; a wider gap between neighbouring heights separates two layers."""
    rattle: float = 0.0
    """Å; standard deviation of the random displacement of the free atoms."""
    seed: int = 0
    """Of the random displacement."""

    def __post_init__(self) -> None:
        if self.adsorbate is not None:
            object.__setattr__(self, "adsorbate", tuple(self.adsorbate))
        if self.fixed_layers < 0:
            raise ValueError(f"`fixed_layers` is {self.fixed_layers} but must not be negative")
        if not self.rattle >= 0:
            raise ValueError(f"`rattle` is {self.rattle} but must not be negative")

    def apply(self, atoms: Atoms) -> Atoms:
        """Tag, fix, tag what is fixed, displace.

        Raises
        ------
        StructureError
            If the slab has fewer layers than are to be fixed.
        """
        prepared: Atoms = atoms.copy()
        if self.adsorbate is not None:
            prepared = tag_atoms(prepared, self.adsorbate)
        if self.fixed_layers:
            prepared = tag_atoms(
                fix_bottom_layers(prepared, self.fixed_layers, self.layer_tolerance)
            )
        return rattle(prepared, self.rattle, self.seed) if self.rattle else prepared
