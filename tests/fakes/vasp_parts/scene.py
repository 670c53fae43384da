"""What all writers of output know of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .incar import Incar, Job
from .kpoints import Kpoints
from .species import Species, count_electrons
from .structure import Structure
from .switches import Switches

MOMENT = 0.5
"""Bohr magnetons of a spin-polarized cell, whatever is in it."""


@dataclass(frozen=True)
class Scene:
    """The inputs, read."""

    incar: Incar
    job: Job
    structure: Structure
    """As in POSCAR."""
    kpoints: Kpoints
    species: tuple[Species, ...]
    switches: Switches
    cores: int
    warm: bool
    """Whether a WAVECAR was read."""
    started: datetime = field(default_factory=datetime.now)
    """By this machine's clock."""

    @property
    def electrons(self) -> float:
        """Valence electrons."""
        return count_electrons(self.structure, self.species)

    @property
    def bands(self) -> int:
        """More than half the electrons."""
        return int(self.electrons / 2) + max(3, len(self.structure) // 2)

    @property
    def polarized(self) -> bool:
        """Whether there is a moment."""
        return self.job.ispin == 2
