"""What every surrogate must obey, whatever is inside."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import numpy as np
import pytest
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.geometry import Array
from finetuna_flows.protocols import Surrogate
from tests.contracts.tuner import assert_same_atoms


class SurrogateContract(ABC):
    """Subclass it as ``TestX(SurrogateContract)`` and name the surrogate and its structures."""

    step = 1e-3
    """Å; of the central differences."""
    energy_tolerance = 1e-8
    """eV; by which arithmetic may break a symmetry."""
    force_tolerance = 1e-8
    """eV/Å; the same."""
    difference_tolerance = 1e-6
    """eV/Å; of forces from central differences."""

    @abstractmethod
    def surrogate(self) -> Surrogate:
        """Return the surrogate; one instance may serve all tests."""

    @abstractmethod
    def periodic(self) -> Atoms:
        """Return a slab, periodic at least in its plane, with fixed atoms and non-zero forces."""

    @abstractmethod
    def molecule(self) -> Atoms:
        """Return a molecule without periodicity, with non-zero forces."""

    @pytest.fixture(params=["periodic", "molecule"])
    def atoms(self, request: pytest.FixtureRequest) -> Atoms:
        return self.periodic() if request.param == "periodic" else self.molecule()

    def test_forces_are_minus_the_gradient(self, atoms: Atoms) -> None:
        forces = self.surrogate().predict(atoms).forces
        for direction in random_directions(atoms, count=4):
            way = self.step * direction
            near = self.energy(atoms, way) - self.energy(atoms, -way)
            far = self.energy(atoms, 2 * way) - self.energy(atoms, -2 * way)
            slope = (8 * near - far) / (12 * self.step)  # exact to the fourth order
            expected = -np.sum(forces * direction)
            assert slope == pytest.approx(expected, abs=self.difference_tolerance)

    def test_forces_belong_to_all_atoms(self, atoms: Atoms) -> None:
        forces = self.surrogate().predict(atoms).forces
        assert forces.shape == (len(atoms), 3)
        assert forces.dtype == np.float64
        assert np.linalg.norm(forces, axis=1).min() > 0

    def test_constraints_change_nothing(self, atoms: Atoms) -> None:
        free = atoms.copy()
        free.set_constraint()
        self.assert_same(atoms, free)

    def test_translation_changes_nothing(self, atoms: Atoms) -> None:
        elsewhere = atoms.copy()
        elsewhere.set_constraint()
        elsewhere.positions += [0.31, -1.7, 0.9]
        self.assert_same(atoms, elsewhere)

    def test_forces_sum_to_zero(self, atoms: Atoms) -> None:
        total = self.surrogate().predict(atoms).forces.sum(axis=0)
        assert total == pytest.approx(np.zeros(3), abs=len(atoms) * self.force_tolerance)

    def test_forces_turn_with_the_structure(self, atoms: Atoms) -> None:
        turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
        turned = atoms.copy()
        turned.set_constraint()
        turned.set_cell(atoms.cell.array @ turn.T)
        turned.positions = atoms.positions @ turn.T
        self.assert_same(atoms, turned, turn=turn)

    def test_forces_follow_the_order_of_the_atoms(self, atoms: Atoms) -> None:
        order = np.random.default_rng(0).permutation(len(atoms))
        self.assert_same(atoms, atoms[order], order=order)

    def test_periodic_images_are_the_same_atom(self) -> None:
        atoms = self.periodic()
        images = np.random.default_rng(1).integers(-2, 3, size=(len(atoms), 3)) * atoms.pbc
        elsewhere = atoms.copy()
        elsewhere.set_constraint()
        elsewhere.positions += images @ atoms.cell.array
        self.assert_same(atoms, elsewhere)

    def test_two_cells_have_twice_the_energy(self) -> None:
        atoms = self.periodic()
        one, two = (
            self.surrogate().predict(atoms),
            self.surrogate().predict(atoms.repeat((2, 1, 1))),
        )
        assert two.energy == pytest.approx(2 * one.energy, abs=2 * self.energy_tolerance)
        assert two.forces[: len(atoms)] == pytest.approx(one.forces, abs=self.force_tolerance)

    def test_the_same_geometry_gets_the_same_answer(self, atoms: Atoms) -> None:
        first, second = (self.surrogate().predict(atoms) for _ in range(2))
        assert first.energy == second.energy
        assert np.array_equal(first.forces, second.forces)

    def test_atoms_stay_as_they_are(self, atoms: Atoms) -> None:
        atoms.info["charge"] = 0
        before = copy.deepcopy(atoms)
        self.surrogate().predict(atoms)
        assert_same_atoms(atoms, before)

    def test_elements_cover_what_it_predicts(self, atoms: Atoms) -> None:
        known = self.surrogate().elements
        assert known is None or known >= set(atoms.symbols)

    def energy(self, atoms: Atoms, displacement: Array) -> float:
        """Energy in eV after all atoms have moved by `displacement` (Å, shape (n, 3))."""
        displaced = atoms.copy()
        displaced.set_constraint()
        displaced.positions += displacement
        return self.surrogate().predict(displaced).energy

    def assert_same(
        self,
        one: Atoms,
        other: Atoms,
        *,
        turn: Array | None = None,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Fail unless `other` has the energy of `one`, and its forces turned and reordered."""
        expected, found = self.surrogate().predict(one), self.surrogate().predict(other)
        forces = expected.forces
        forces = forces if turn is None else forces @ turn.T
        forces = forces if order is None else forces[order]
        assert found.energy == pytest.approx(expected.energy, abs=self.energy_tolerance)
        assert found.forces == pytest.approx(forces, abs=self.force_tolerance)


def random_directions(atoms: Atoms, *, count: int) -> list[Array]:
    """Seeded displacements of all atoms, each of length one, shape (n, 3)."""
    directions = np.random.default_rng(2).normal(size=(count, len(atoms), 3))
    return [direction / np.linalg.norm(direction) for direction in directions]
