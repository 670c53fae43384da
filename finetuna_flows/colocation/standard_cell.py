"""The frame in which a cell is lower triangular, for engines that know no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array


@dataclass(frozen=True)
class Turn:
    """An orthogonal change of frame, which leaves the energy as it is.

    LAMMPS keeps of a cell its lower triangle: a along x, b in the plane of x and y
    (https://docs.lammps.org/Howto_triclinic.html). Of a cell that is sent to it in another
    orientation its ``fix ipi`` drops the rest without a word, and computes another crystal.
    """

    matrix: Array | None = None
    """(3, 3), multiplied to rows from the right; None: nothing is turned, to the last bit."""

    @classmethod
    def standard(cls, cell: Array) -> Self:
        """The turn that makes a cell (3, 3), by rows, lower triangular with a positive diagonal.

        A left-handed cell becomes the mirror image of one. A cell of less than three vectors stays
        as it is.
        """
        is_standard = not np.triu(cell, 1).any() and (np.diag(cell) > 0).all()
        if is_standard or np.linalg.matrix_rank(cell) < 3:
            return cls()
        orthogonal, triangle = np.linalg.qr(cell.T)  # cell = triangle.T @ orthogonal.T
        return cls(orthogonal * np.sign(np.diag(triangle)))

    def turned(self, atoms: Atoms) -> Atoms:
        """The atoms in the new frame, where they have no constraints; themselves in the same.

        Raises
        ------
        ValueError
            If the atoms have magnetic moments that are vectors.
        """
        if self.matrix is None:
            return atoms
        if atoms.get_initial_magnetic_moments().ndim > 1:
            raise ValueError(
                "the initial magnetic moments are vectors and the cell is not lower triangular, so "
                "that the engine would get the moments in another frame than the atoms; set "
                "`standard_cell` to False, or turn the structure"
            )
        copy: Atoms = atoms.copy()
        copy.set_constraint()
        copy.set_cell(np.tril(atoms.cell.array @ self.matrix))
        copy.set_positions(atoms.positions @ self.matrix)
        return copy

    def back(self, vectors: Array) -> Array:
        """Vectors (n, 3) of the new frame in the old one."""
        return vectors if self.matrix is None else vectors @ self.matrix.T
