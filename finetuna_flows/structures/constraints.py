"""Constraints in the three languages they are spoken in.

ASE fixes atoms or Cartesian components, VASP's selective dynamics fixes components along the
lattice vectors (whether the file gives positions as Direct or as Cartesian), and this package
asks which Cartesian components are free. pymatgen's adaptor reads the flags of selective
dynamics as Cartesian, which differs as soon as a lattice vector is not along an axis.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import (
    FixAtoms,
    FixCartesian,
    FixConstraint,
    FixedLine,
    FixedPlane,
    FixScaled,
)

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array, Mask, free_components

ALIGNED = 1e-6
"""Component of a lattice vector along an axis, relative to its length, that counts as none."""


def constraints_from(free: Mask) -> list[FixConstraint]:
    """Fewest constraints that leave the Cartesian components `free`, shape (n, 3)."""
    constraints: list[FixConstraint] = []
    for pattern in np.unique(free, axis=0):
        members = np.flatnonzero((free == pattern).all(axis=1))
        if not pattern.any():
            constraints.append(FixAtoms(indices=members))
        elif not pattern.all():
            constraints.append(FixCartesian(members, mask=~pattern))
    return constraints


def free_along_axes(cell: Array, flags: Mask) -> Mask:
    """Cartesian components that selective dynamics leaves free, shape (n, 3).

    Parameters
    ----------
    cell
        Lattice vectors in Å, one a row.
    flags
        Whether an atom may move along each lattice vector, shape (n, 3).

    Raises
    ------
    StructureError
        If the free lattice vectors of an atom do not span axes of the coordinate system.
    """
    touches = ~_aligned(cell)
    free = flags.copy()
    for pattern in np.unique(flags, axis=0):
        axes = touches[pattern].any(axis=0)
        members = (flags == pattern).all(axis=1)
        if axes.sum() != pattern.sum():
            raise _oblique(members, pattern, "lattice vectors", "x, y, z")
        free[members] = axes
    return free


def free_along_lattice(cell: Array, free: Mask) -> Mask:
    """Flags of selective dynamics that leave the Cartesian components `free`, shape (n, 3).

    Raises
    ------
    StructureError
        If the free axes of an atom are not spanned by lattice vectors.
    """
    aligned = _aligned(cell)
    flags = free.copy()
    for pattern in np.unique(free, axis=0):
        vectors = aligned[:, ~pattern].all(axis=1)
        members = (free == pattern).all(axis=1)
        if vectors.sum() != pattern.sum():
            raise _oblique(members, pattern, "x, y, z", "lattice vectors")
        flags[members] = vectors
    return flags


def with_cartesian_constraints(atoms: Atoms) -> Atoms:
    """Copy of `atoms` whose constraints are ``FixAtoms`` and ``FixCartesian``.

    ``FixScaled`` (a partly fixed atom of a POSCAR), ``FixedLine`` and ``FixedPlane`` are said so
    where they mean the same; not every format of ASE keeps them. Others stay as they are.

    Raises
    ------
    StructureError
        If one of these cannot be said so in this cell.
    """
    copy: Atoms = atoms.copy()
    scaled = [c for c in copy.constraints if isinstance(c, FixScaled)]
    directed = [c for c in copy.constraints if isinstance(c, FixedLine | FixedPlane)]
    if not scaled and not directed:
        return copy
    copy.set_constraint([c for c in copy.constraints if not isinstance(c, FixScaled)])
    free = free_components(copy)
    for constraint in scaled:
        flags = np.ones_like(free)
        flags[constraint.index] = ~np.asarray(constraint.mask, dtype=bool)
        free &= free_along_axes(np.asarray(copy.cell), flags)
    copy.set_constraint(constraints_from(free))
    return copy


def _aligned(cell: Array) -> Mask:
    """Whether lattice vector i has no component along axis j, shape (3, 3)."""
    lengths = np.linalg.norm(cell, axis=1, keepdims=True)
    return np.asarray(np.abs(cell) <= ALIGNED * lengths)


def _oblique(members: Mask, pattern: Mask, given: str, wanted: str) -> StructureError:
    flags = " ".join("T" if flag else "F" for flag in pattern)
    return StructureError(
        f"atom {np.flatnonzero(members)[0]} may move as {flags} along {given}, which no choice of "
        f"{wanted} can say in this cell; free the atom, fix it whole, or rotate the cell"
    )
