"""The two structures on which surrogates are tested."""

from __future__ import annotations

from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.constraints import FixAtoms


def slab() -> Atoms:
    """Rattled oxygen on Cu(111) with its lowest layer fixed."""
    atoms: Atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    add_adsorbate(atoms, "O", 1.3, "fcc")
    atoms.rattle(0.05, seed=3)
    atoms.set_constraint(FixAtoms(mask=[atom.tag == 3 for atom in atoms]))
    return atoms


def water() -> Atoms:
    """Rattled water without a cell."""
    atoms: Atoms = molecule("H2O")
    atoms.rattle(0.05, seed=4)
    return atoms


def with_a_lone_oxygen(height: float = 12.0) -> Atoms:
    """Water, and `height` Å above it an oxygen atom that no network's cutoff reaches."""
    both: Atoms = water() + Atoms("O", [(0.0, 0.0, height)])
    return both
