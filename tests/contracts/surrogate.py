"""What every surrogate must obey, whatever is inside."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import numpy as np
import pytest
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter

from finetuna_flows.finetuning.heads import head_names, only_trainable
from finetuna_flows.geometry import Array, Mask
from finetuna_flows.protocols import (
    BranchingSurrogate,
    CacheableSurrogate,
    FeatureSurrogate,
    Surrogate,
)
from finetuna_flows.surrogates.ensemble import perturb_head
from tests.contracts.tuner import assert_same_atoms


class OnTwoStructures(ABC):
    """Names the structures and how exact a surrogate is there."""

    energy_tolerance = 1e-8
    """eV; by which arithmetic may break a symmetry."""
    force_tolerance = 1e-8
    """eV/Å; the same."""

    @abstractmethod
    def periodic(self) -> Atoms:
        """Return a slab, periodic at least in its plane, with fixed atoms and non-zero forces."""

    @abstractmethod
    def molecule(self) -> Atoms:
        """Return a molecule without periodicity, with non-zero forces."""

    @pytest.fixture(params=["periodic", "molecule"])
    def atoms(self, request: pytest.FixtureRequest) -> Atoms:
        return self.periodic() if request.param == "periodic" else self.molecule()


class SurrogateContract(OnTwoStructures):
    """Subclass it as ``TestX(SurrogateContract)`` and name the surrogate and its structures."""

    step = 1e-3
    """Å; of the central differences."""
    difference_tolerance = 1e-6
    """eV/Å; of forces from central differences."""

    @abstractmethod
    def surrogate(self) -> Surrogate:
        """Return the surrogate; one instance may serve all tests."""

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


class CacheableSurrogateContract(SurrogateContract):
    """The same for one whose head is evaluated apart from the rest."""

    @abstractmethod
    def surrogate(self) -> CacheableSurrogate:
        """Return the surrogate; its weights may be changed and put back."""

    def test_the_head_alone_says_what_all_says(self, atoms: Atoms) -> None:
        surrogate, free = self.surrogate(), some_free(atoms)
        prepared = surrogate.prepare(atoms)
        cached = surrogate.cache(prepared, free)
        with only_trainable(surrogate, head_names(surrogate, surrogate.head)) as weights:
            kept = [weight.detach().clone() for weight in weights]
            for factor in (1.0, 1.01):  # with the weights as they are, and with others
                scale(weights, kept, factor)
                energy, forces = surrogate.evaluate(prepared)
                of_head = surrogate.evaluate_head(cached)
                assert of_head[0].item() == pytest.approx(energy.item(), abs=self.energy_tolerance)
                found, expected = (f.detach().cpu().numpy() for f in (of_head[1], forces))
                assert found[free] == pytest.approx(expected[free], abs=self.force_tolerance)
                assert not found[~free].any()
            scale(weights, kept, 1.0)

    def test_the_head_alone_has_the_same_slopes(self, atoms: Atoms) -> None:
        surrogate, free = self.surrogate(), some_free(atoms)
        prepared = surrogate.prepare(atoms)
        cached = surrogate.cache(prepared, free)
        slopes = []
        with only_trainable(surrogate, head_names(surrogate, surrogate.head)) as weights:
            places = torch.as_tensor(free, device=weights[0].device)
            for energy, forces in (surrogate.evaluate(prepared), surrogate.evaluate_head(cached)):
                loss = energy + (forces[places] ** 2).sum()
                found = torch.autograd.grad(loss, weights, materialize_grads=True)
                slopes.append(torch.cat([each.flatten() for each in found]).double().cpu().numpy())
        largest = np.abs(slopes[0]).max()
        assert largest > 0
        assert slopes[1] == pytest.approx(slopes[0], abs=self.force_tolerance * largest)

    def test_what_was_not_cached_is_refused(self, atoms: Atoms) -> None:
        with pytest.raises(TypeError, match="got a Atoms but needs what `cache` returns"):
            self.surrogate().evaluate_head(atoms)


class BranchingSurrogateContract(OnTwoStructures):
    """What holds besides where several heads may share a backbone."""

    @abstractmethod
    def branches(self) -> tuple[BranchingSurrogate, BranchingSurrogate]:
        """Return two with the same weights, for one test alone to change."""

    def test_heads_on_one_pass_say_what_they_say_alone(self, atoms: Atoms) -> None:
        one, other = self.branches()
        perturb_head(other, scale=0.1, seed=0)
        passed = one.pass_backbone(atoms)
        apart = np.abs(one.predict(atoms).forces - other.predict(atoms).forces).max()
        assert apart > 10 * self.force_tolerance
        for each in (one, other, one):  # no head changes what the others are given
            found, expected = each.predict_head(passed), each.predict(atoms)
            assert found.energy == pytest.approx(expected.energy, abs=self.energy_tolerance)
            assert found.forces == pytest.approx(expected.forces, abs=self.force_tolerance)

    def test_a_backbone_is_shared_while_the_heads_alone_differ(self) -> None:
        one, other = self.branches()
        assert one.shares_backbone(other)
        perturb_head(other, scale=0.1, seed=0)
        head = head_names(other, other.head)
        for name, weight in other.named_parameters():
            assert one.shares_backbone(other)
            if name not in head:
                first = weight.data.view(-1)[:1]  # what is written past torch's version counter
                kept = first.clone()
                first.add_(1e-3)
                assert not one.shares_backbone(other)
                assert not other.shares_backbone(one)
                first.copy_(kept)
        assert not one.shares_backbone(one.head)

    def test_what_was_not_passed_is_refused(self) -> None:
        with pytest.raises(TypeError, match="got a str but needs what `pass_backbone` returns"):
            self.branches()[0].predict_head("nothing")


class FeatureSurrogateContract(SurrogateContract):
    """The same for one that shows descriptors."""

    feature_tolerance = 1e-8
    """By which arithmetic may break a symmetry, relative to the largest descriptor."""
    slope_tolerance = 1e-6
    """Of slopes from central differences, relative to the largest slope."""

    @abstractmethod
    def surrogate(self) -> FeatureSurrogate:
        """Return the surrogate; one instance may serve all tests."""

    def test_slopes_are_those_of_differences(self, atoms: Atoms) -> None:
        everything = np.ones((len(atoms), 3), dtype=bool)
        slopes = self.surrogate().features(atoms, everything).slopes
        for direction in random_directions(atoms, count=2):
            way = self.step * direction
            near = self.values(atoms, way) - self.values(atoms, -way)
            far = self.values(atoms, 2 * way) - self.values(atoms, -2 * way)
            found = (8 * near - far) / (12 * self.step)
            expected = np.einsum("pni,ni->p", slopes, direction)
            scale = np.abs(slopes).max()
            assert found == pytest.approx(expected, abs=self.slope_tolerance * scale)

    def test_few_free_components_have_the_slopes_of_all(self, atoms: Atoms) -> None:
        free = some_free(atoms)
        everything = self.surrogate().features(atoms, np.ones_like(free))
        asked = self.surrogate().features(atoms, free)
        scale = np.abs(everything.slopes).max()
        expected = np.where(free, everything.slopes, 0.0)
        assert asked.values == pytest.approx(everything.values)
        assert asked.slopes == pytest.approx(expected, abs=self.feature_tolerance * scale)

    def test_descriptors_are_those_of_the_structure(self, atoms: Atoms) -> None:
        order = np.random.default_rng(0).permutation(len(atoms))
        turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
        other = atoms.copy()
        other.set_constraint()
        other.set_cell(atoms.cell.array @ turn.T)
        other.positions = atoms.positions @ turn.T + [0.31, -1.7, 0.9]
        free = some_free(atoms)
        one, two = (
            self.surrogate().features(atoms, free),
            self.surrogate().features(other[order], free[order]),
        )
        scale = np.abs(one.values).max()
        assert two.values == pytest.approx(one.values, abs=self.feature_tolerance * scale)

    def test_two_cells_have_twice_the_descriptors(self) -> None:
        atoms = self.periodic()
        double = atoms.repeat((2, 1, 1))
        nothing = np.zeros((len(double), 3), dtype=bool)
        one = self.surrogate().features(atoms, nothing[: len(atoms)]).values
        two = self.surrogate().features(double, nothing).values
        assert two == pytest.approx(2 * one, abs=self.feature_tolerance * np.abs(two).max())

    def test_descriptors_leave_the_atoms_as_they_are(self, atoms: Atoms) -> None:
        before = copy.deepcopy(atoms)
        self.surrogate().features(atoms, some_free(atoms))
        assert_same_atoms(atoms, before)

    def values(self, atoms: Atoms, displacement: Array) -> Array:
        """Descriptors after all atoms have moved by `displacement` (Å, shape (n, 3))."""
        displaced = atoms.copy()
        displaced.set_constraint()
        displaced.positions += displacement
        return self.surrogate().features(displaced, np.zeros((len(atoms), 3), dtype=bool)).values


def scale(weights: list[Parameter], kept: list[Tensor], factor: float) -> None:
    """Set the weights to what was kept of them, times `factor`."""
    with torch.no_grad():
        for weight, old in zip(weights, kept, strict=True):
            weight.copy_(factor * old)


def some_free(atoms: Atoms) -> Mask:
    """All components but those of the first atom and one of the last, shape (n, 3)."""
    free = np.ones((len(atoms), 3), dtype=bool)
    free[0] = False
    free[-1, 1] = False
    return free


def random_directions(atoms: Atoms, *, count: int) -> list[Array]:
    """Seeded displacements of all atoms, each of length one, shape (n, 3)."""
    directions = np.random.default_rng(2).normal(size=(count, len(atoms), 3))
    return [direction / np.linalg.norm(direction) for direction in directions]
