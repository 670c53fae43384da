"""Small systems that many tests relax: cheap, with constraints and tags, away from a minimum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators import emt
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

EMT = "ase.calculators.emt:EMT"
MORSE = "ase.calculators.morse:MorsePotential"
MORSE_ARGUMENTS = {"epsilon": 0.2, "r0": 2.5, "rho0": 3.5}
"""A poor prior for copper and oxygen: soft, and with one distance for all pairs."""


def oxygen_on_copper() -> Atoms:
    """O off the hollow site of a 2×2×2 Cu(111) slab, bottom layer fixed; 9 atoms, 5 free."""
    atoms: Atoms = fcc111("Cu", size=(2, 2, 2), a=3.6, vacuum=6.0, periodic=True)
    add_adsorbate(atoms, "O", height=1.3, position="fcc", offset=(0.06, 0.03))
    atoms.set_tags([0] * 4 + [1] * 4 + [2])
    atoms.set_constraint(FixAtoms(range(4)))
    rng = np.random.default_rng(7)
    atoms.positions[4:8] += rng.normal(0, 0.05, (4, 3))
    return atoms


class Slope(Calculator):
    """The same force everywhere: no curvature, so a quasi-Newton step divides by zero."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's way

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Energy minus the heights, in eV and Å."""
        assert atoms is not None
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        forces = np.tile([0.0, 0.0, 1.0], (len(atoms), 1))
        self.results = {"energy": -atoms.positions[:, 2].sum(), "forces": forces}


class Wiggling(emt.EMT):
    """EMT whose reported energy is not the one that its forces are the gradient of."""

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Energy 0.05 eV to and fro around the free energy, in eV and Å."""
        assert atoms is not None
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self.results["free_energy"] = self.results["energy"]
        self.results["energy"] += 0.05 * float(np.sin(40 * atoms.positions.sum()))
