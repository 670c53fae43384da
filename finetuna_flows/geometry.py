"""What is asked of a geometry everywhere: which atoms are free, fmax, displacements."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixedLine, FixedPlane
from ase.geometry import find_mic
from numpy.typing import NDArray

from finetuna_flows.errors import StructureError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


ALONG = 1e-6
"""Component of a unit vector that counts as none; files of ASE keep more digits."""


def free_components(atoms: Atoms) -> Mask:
    """Which Cartesian components may move, shape (n, 3).

    Raises
    ------
    StructureError
        If a constraint is none of ``FixAtoms``, ``FixCartesian``, and ``FixedLine`` and
        ``FixedPlane`` along x, y or z: what its forces mean for convergence is not defined here.
    """
    free = np.ones((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            free[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            free[constraint.index] &= ~np.asarray(constraint.mask, dtype=bool)
        elif isinstance(constraint, FixedLine):
            free[constraint.index] &= _axis(constraint)
        elif isinstance(constraint, FixedPlane):
            free[constraint.index] &= ~_axis(constraint)
        else:
            raise StructureError(
                f"constraint {type(constraint).__name__} is not supported; "
                "use FixAtoms or FixCartesian (selective dynamics)"
            )
    return free


def _axis(constraint: FixedLine | FixedPlane) -> Mask:
    """The axis that a line is along, or that a plane is normal to, shape (3,)."""
    along = np.abs(constraint.dir) > ALONG
    if along.sum() == 1 and np.isfinite(constraint.dir).all():
        return np.asarray(along)
    name = type(constraint).__name__
    vector = ", ".join(f"{each:.4g}" for each in constraint.dir)
    raise StructureError(
        f"constraint {name} of atom {constraint.index[0]} ({len(constraint.index)} in all) has the "
        f"direction ({vector}) but must be along x, y or z, where FixCartesian says the same; turn "
        "the structure so that it is, fix these atoms whole, or free them"
    )


def moved(atoms: Atoms, positions: Array) -> Atoms:
    """Return a copy of `atoms` at `positions` (Å, shape (n, 3)): constraints, but no calculator."""
    copy: Atoms = atoms.copy()
    copy.set_positions(positions, apply_constraint=False)
    return copy


def fmax(forces: Array, free: Mask) -> float:
    """Largest force on an atom in eV/Å, over its free components."""
    return float(np.linalg.norm(np.where(free, forces, 0.0), axis=1).max(initial=0.0))


def rms(forces: Array, free: Mask) -> float:
    """Root mean square of the free components, in the unit of `forces`; 0 where none is free."""
    return float(np.sqrt(np.mean(forces[free] ** 2))) if free.any() else 0.0


def displacements(start: Array, end: Array, atoms: Atoms) -> Array:
    """Way of each atom from `start` to its nearest image in `end`, in Å, shape (n, 3).

    Parameters
    ----------
    start, end
        Positions in Å, shape (n, 3).
    atoms
        Gives the cell and the periodic directions.
    """
    if not atoms.pbc.any():
        return end - start
    vectors, _ = find_mic(end - start, atoms.cell, atoms.pbc)
    return np.asarray(vectors, dtype=np.float64)


def largest_displacement(start: Array, end: Array, atoms: Atoms) -> float:
    """Farthest way of one atom from `start` to `end` in Å, minimum image."""
    return float(np.linalg.norm(displacements(start, end, atoms), axis=1).max(initial=0.0))
