"""The coordinates that a kernel in positions needs: free components only, never wrapped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from finetuna_flows.errors import SurrogateError
from finetuna_flows.geometry import Array, Mask, displacements, free_components
from finetuna_flows.ties import first_highest

FIXED_TOLERANCE = 1e-3
"""Å that a fixed component may be off: more than files round, less than forces notice."""

CELL_TOLERANCE = 1e-5
"""Å that a cell vector's component may be off."""


@dataclass(frozen=True)
class FreeCoordinates:
    """The free components of one system, each atom at the image nearest to where it began."""

    start: Atoms
    """Says what the system is: atoms, cell, and which components are fixed where."""

    @cached_property
    def free(self) -> Mask:
        """Which components may move, shape (n, 3)."""
        return free_components(self.start)

    def read(self, atoms: Atoms) -> Array:
        """Coordinates of the free components in Å, shape (d,), the same for every wrapping.

        Raises
        ------
        SurrogateError
            If the atoms are another system: other elements or order, another cell, or a
            component that is fixed at the start is elsewhere.
        """
        self._check_system(atoms)
        ways = displacements(self.start.positions, atoms.positions, self.start)
        off = np.where(self.free, 0.0, np.abs(ways))
        if off.max(initial=0.0) > FIXED_TOLERANCE:
            atom = first_highest(off.max(axis=1), FIXED_TOLERANCE / 1000)
            raise SurrogateError(
                f"fixed atom {atom} ({self.start.symbols[atom]}) is {off[atom].max():.3g} Å from "
                f"its place but may be {FIXED_TOLERANCE} Å off; {_REMEDY}"
            )
        positions: Array = self.start.positions + ways
        return positions[self.free]

    def spread(self, values: Array) -> Array:
        """Values (d,) of the free components at their places in (n, 3), zero elsewhere."""
        everywhere = np.zeros(self.free.shape)
        everywhere[self.free] = values
        return everywhere

    def _check_system(self, atoms: Atoms) -> None:
        start = self.start
        if not np.array_equal(atoms.numbers, start.numbers):
            raise SurrogateError(
                f"the atoms are {atoms.symbols} but the labels are of {start.symbols}, "
                f"in this order; {_REMEDY}"
            )
        if not np.array_equal(atoms.pbc, start.pbc):
            raise SurrogateError(
                f"the periodic directions are {atoms.pbc.tolist()} but those of the labels "
                f"{start.pbc.tolist()}; {_REMEDY}"
            )
        off = float(np.abs(atoms.cell.array - start.cell.array).max())
        if off > CELL_TOLERANCE:
            raise SurrogateError(
                f"the cell is {off:.3g} Å off that of the labels but may be {CELL_TOLERANCE} Å "
                f"off; {_REMEDY}"
            )


_REMEDY = "train a surrogate of its own for this structure"
