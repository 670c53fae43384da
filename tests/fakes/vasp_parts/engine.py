"""Energies, forces and stress from an ASE calculator."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from .fortran import InputError
from .structure import Array, Structure

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

SHIFT = -10.0
"""eV per atom, so that no energy is positive: custodian takes that for a fault."""
ENTROPY = 0.001
"""eV per atom between F and E0, and between E0 and the energy without entropy."""


@dataclass(frozen=True)
class Answer:
    """What an ionic step ends in. eV, eV/Å, eV/Å³ with ASE's sign."""

    energy: float
    """Extrapolated to zero smearing: E0."""
    entropy: float
    """eV."""
    forces: Array
    """(n, 3)."""
    stress: Array | None
    """Voigt's order."""
    error: float = 0.0
    """eV: what the electronic cycles left over."""

    @property
    def zero(self) -> float:
        """E0 in eV."""
        return self.energy + self.error

    @property
    def free(self) -> float:
        """F in eV."""
        return self.zero - self.entropy

    @property
    def bare(self) -> float:
        """The energy without entropy in eV."""
        return self.zero + self.entropy

    def left(self, error: float) -> Answer:
        """The same with energies off by an error."""
        return replace(self, error=error)


def load_calculator(name: str) -> Calculator:
    """Make the calculator: ``emt``, ``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``.

    Raises
    ------
    InputError
        If the name is none of these.
    """
    if name == "emt":
        name = "ase.calculators.emt:EMT"
    place, _, function = name.rpartition(":")
    if not place:
        raise InputError(
            f"FAKE_VASP_CALCULATOR is {name!r} but must be emt, MODULE:CALLABLE or FILE.py:CALLABLE"
        )
    if place.endswith(".py"):
        path = Path(place).absolute()
        sys.path.insert(0, str(path.parent))
        place = path.stem
    maker: Any = getattr(importlib.import_module(place), function)
    calculator: Calculator = maker()
    return calculator


class Engine:
    """Answers for one structure after another."""

    def __init__(self, calculator: Calculator, *, stress: bool) -> None:
        self._calculator = calculator
        self._stress = stress and "stress" in calculator.implemented_properties

    def answer(self, structure: Structure) -> Answer:
        """Compute."""
        atoms = Atoms(structure.symbols, structure.cartesian, cell=structure.cell, pbc=True)
        atoms.calc = self._calculator
        energy = float(atoms.get_potential_energy()) + SHIFT * len(atoms)
        stress = atoms.get_stress() if self._stress else None
        return Answer(energy, ENTROPY * len(atoms), atoms.get_forces(), stress)
