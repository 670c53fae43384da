"""Labelled frames of several copper surfaces, as EMT sees them: systems to adapt a surrogate to."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from finetuna_flows.records import Frame, Label


def surfaces() -> list[Atoms]:
    """Slabs with their lowest layer fixed, and a crystal with a vacancy."""
    slabs = [
        fcc111("Cu", (2, 2, 2), vacuum=6.0),
        fcc100("Cu", (2, 2, 2), vacuum=6.0),
        fcc110("Cu", (2, 2, 2), vacuum=6.0),
        fcc111("Cu", (2, 2, 3), vacuum=6.0),
    ]
    for slab in slabs:
        slab.info = {}  # sites, which extxyz cannot hold
        slab.set_constraint(FixAtoms(mask=slab.get_tags() == slab.get_tags().max()))
    holed = bulk("Cu", cubic=True).repeat(2)
    del holed[0]
    return [*slabs, holed]


def frames_of(atoms: Atoms, count: int, *, energy: float = 0.0) -> list[Frame]:
    """Displace all atoms by 0.15 Å (standard deviation) and label; `energy` in eV is added."""
    frames = []
    for seed in range(count):
        moved = atoms.copy()
        free = moved.copy()
        free.set_constraint()
        free.positions += np.random.default_rng(seed).normal(0, 0.15, (len(moved), 3))
        moved.set_positions(free.positions, apply_constraint=False)
        free.calc = EMT()
        label = Label(free.get_potential_energy() + energy, free.get_forces())
        frames.append(Frame(moved, label))
    return frames


def copper_frames(count: int = 3) -> list[Frame]:
    """`count` frames of each surface."""
    return [frame for atoms in surfaces() for frame in frames_of(atoms, count)]
