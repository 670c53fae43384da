"""Labels for tuners: a gold atom on Cu(111), its lowest layer fixed, as EMT sees it."""

from __future__ import annotations

from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from finetuna_flows.records import Frame, Label


def emt_frame(seed: int) -> Frame:
    """One geometry, displaced by 0.08 Å (standard deviation), with its label."""
    atoms: Atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    add_adsorbate(atoms, "Au", 2.2, "fcc")
    atoms.set_constraint(FixAtoms(mask=[atom.tag == 3 for atom in atoms]))
    atoms.rattle(0.08, seed=seed)
    asked = atoms.copy()
    asked.set_constraint()
    asked.calc = EMT()
    return Frame(atoms, Label(asked.get_potential_energy(), asked.get_forces()))


def emt_frames(count: int, *, first: int = 0) -> list[Frame]:
    """Several of them; the seeds count from `first`."""
    return [emt_frame(seed) for seed in range(first, first + count)]
