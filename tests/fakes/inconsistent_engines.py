"""ASE calculators whose forces are not the gradient of their energies, and one that is honest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.units import Bohr, Hartree

from finetuna_flows.geometry import Array

Altered = Callable[[float, Array, int], tuple[float, Array]]


class AlteredEmt(EMT):
    """EMT whose answers pass through a function of energy, forces and number of the call."""

    def __init__(self, alter: Altered) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE has no types
        self._alter = alter
        self._calls = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        energy, forces = self._alter(self.results["energy"], self.results["forces"], self._calls)
        self._calls += 1
        self.results |= {"energy": energy, "free_energy": energy, "forces": forces}


def honest() -> EMT:
    return AlteredEmt(lambda energy, forces, _: (energy, forces))


def hartree_per_bohr() -> EMT:
    return AlteredEmt(lambda energy, forces, _: (energy, forces / (Hartree / Bohr)))


def kcal_per_mol() -> EMT:
    return AlteredEmt(lambda energy, forces, _: (energy, forces * 23.0605))


def wrong_sign() -> EMT:
    return AlteredEmt(lambda energy, forces, _: (energy, -forces))


def constant_energy() -> EMT:
    return AlteredEmt(lambda energy, forces, _: (-1.0, forces))


def drifting_energy() -> EMT:
    return AlteredEmt(lambda energy, forces, call: (energy + 0.05 * call, forces))


def noisy() -> EMT:
    """Normal deviates of 0.1 eV/Å on every component, others at each call."""
    return AlteredEmt(
        lambda energy, forces, call: (
            energy,
            forces + np.random.default_rng(call).normal(0.0, 0.1, forces.shape),
        )
    )


def another_state(first: int) -> EMT:
    """Energies are lower by 0.3 eV from a call on, as where the density changed its state."""
    return AlteredEmt(lambda energy, forces, call: (energy - 0.3 * (call >= first), forces))


def one_wrong_label() -> EMT:
    """The fourth energy is off by 0.3 eV, as of a calculation that ended in another state."""
    return AlteredEmt(lambda energy, forces, call: (energy + 0.3 * (call == 3), forces))
