"""What every parent keeps to. Subclass it, say how to build yours, and pytest runs the rest."""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose, assert_array_equal

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.protocols import ParentCalculator


class ParentContract:
    """The laws of a label; tolerances belong to the engine."""

    energy_tolerance = 1e-8
    """eV; between two labels of one geometry."""
    force_tolerance = 1e-6
    """eV/Å; the same."""
    gradient_tolerance: float | None = 1e-5
    """eV/Å; between forces and central differences. None where differences cost too much."""
    difference = 1e-3
    """Å; of the central differences."""
    keeps: frozenset[str] = frozenset()
    """Folders that the parent is meant to leave where it was built."""
    closes_for_good = False
    """Whether the parent refuses to be used again after its exit."""

    @classmethod
    @abstractmethod
    def build(cls) -> ParentCalculator:
        """Make the parent, in the present directory."""

    @classmethod
    def geometry(cls) -> Atoms:
        """A structure that the parent can label, off its minimum and with constraints."""
        slab: Atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0)
        add_adsorbate(slab, "O", 1.3, position=(1.4, 0.9))
        slab.set_constraint(FixAtoms(mask=slab.get_tags() == 2))
        return slab

    @pytest.fixture(scope="class")
    @classmethod
    def parent(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParentCalculator]:
        with contextlib.chdir(tmp_path_factory.mktemp("parent")):
            built = cls.build()
        with built as entered:
            yield entered

    @pytest.fixture
    def atoms(self) -> Atoms:
        return self.geometry()

    def test_the_label_is_complete(self, parent: ParentCalculator, atoms: Atoms) -> None:
        label = parent.label(atoms)
        assert np.isfinite(label.energy)
        assert label.forces.shape == (len(atoms), 3)
        assert np.isfinite(label.forces).all()
        assert label.wall_time >= 0
        assert label.scf_cycles is None or label.scf_cycles >= 0

    def test_a_new_geometry_costs_scf_cycles(self, parent: ParentCalculator, atoms: Atoms) -> None:
        label = parent.label(shaken(atoms, seed=1))
        assert label.scf_cycles is None or label.scf_cycles > 0

    def test_the_smearing_lowers_the_free_energy(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        label = parent.label(atoms)
        assert label.free_energy is None or label.free_energy <= label.energy

    def test_forces_are_raw(self, parent: ParentCalculator, atoms: Atoms) -> None:
        fixed = atoms.constraints[0].index
        forces = parent.label(atoms).forces
        assert np.linalg.norm(forces[fixed], axis=1).max() > 1e-3
        free = atoms.copy()
        free.set_constraint()
        assert_allclose(parent.label(free).forces, forces, atol=self.force_tolerance)

    def test_the_atoms_are_left_alone(self, parent: ParentCalculator, atoms: Atoms) -> None:
        given = atoms.copy()
        given.set_initial_magnetic_moments(np.full(len(atoms), 0.5))
        before = given.copy()
        parent.label(given)
        assert given == before
        assert given.calc is None
        assert_array_equal(given.constraints[0].index, before.constraints[0].index)
        assert_array_equal(given.get_initial_magnetic_moments(), 0.5)

    def test_the_same_geometry_has_the_same_label(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        first = parent.label(atoms)
        parent.label(shaken(atoms, seed=2))
        second = parent.label(atoms)
        assert second.energy == pytest.approx(first.energy, abs=self.energy_tolerance)
        assert_allclose(second.forces, first.forces, atol=self.force_tolerance)

    def test_a_label_is_not_changed_by_the_next(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        first = parent.label(atoms)
        forces = first.forces.copy()
        parent.label(shaken(atoms, seed=3))
        assert_array_equal(first.forces, forces)

    def test_permuted_atoms_have_permuted_forces(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        order = np.random.default_rng(4).permutation(len(atoms))
        straight, permuted = parent.label(atoms), parent.label(atoms[order])
        assert permuted.energy == pytest.approx(straight.energy, abs=self.energy_tolerance)
        assert_allclose(permuted.forces, straight.forces[order], atol=self.force_tolerance)

    def test_forces_are_minus_the_gradient(self, parent: ParentCalculator, atoms: Atoms) -> None:
        if self.gradient_tolerance is None:
            pytest.skip("differences cost too much with this engine")
        direction = np.random.default_rng(5).normal(size=(len(atoms), 3))
        direction /= np.linalg.norm(direction)
        slope = (
            potential(parent, atoms, self.difference * direction)
            - potential(parent, atoms, -self.difference * direction)
        ) / (2 * self.difference)
        along = float((parent.label(atoms).forces * direction).sum())
        assert along == pytest.approx(-slope, abs=self.gradient_tolerance)

    def test_it_says_its_level_and_elements(self, parent: ParentCalculator, atoms: Atoms) -> None:
        assert len(parent.level) > 2
        assert parent.elements is None or set(atoms.get_chemical_symbols()) <= parent.elements

    def test_it_leaves_nothing_running_and_stays_in_its_folder(
        self, tmp_path: Path, atoms: Atoms
    ) -> None:
        mine, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
        mine.mkdir()
        elsewhere.mkdir()
        threads, processes = threading.active_count(), children()
        with contextlib.chdir(mine):
            parent = self.build()
        with contextlib.chdir(elsewhere), parent:
            parent.label(atoms)
        assert list(elsewhere.iterdir()) == []
        assert {path.name for path in mine.iterdir() if path.is_dir()} == self.keeps
        assert threading.active_count() == threads
        assert children() == processes

    def test_it_can_be_entered_again_or_says_that_it_cannot(
        self, tmp_path: Path, atoms: Atoms
    ) -> None:
        with contextlib.chdir(tmp_path):
            parent = self.build()
        with parent:
            first = parent.label(atoms)
        if self.closes_for_good:
            with pytest.raises(ParentError, match="closed"):
                parent.label(atoms)
            return
        with parent:
            second = parent.label(atoms)
        assert second.energy == pytest.approx(first.energy, abs=self.energy_tolerance)


def shaken(atoms: Atoms, *, seed: int) -> Atoms:
    """A copy whose atoms, the fixed ones too, are displaced by about 0.02 Å."""
    return displaced(atoms, np.random.default_rng(seed).normal(scale=0.02, size=(len(atoms), 3)))


def displaced(atoms: Atoms, way: Array) -> Atoms:
    copy: Atoms = atoms.copy()
    copy.set_positions(atoms.positions + way, apply_constraint=False)
    return copy


def potential(parent: ParentCalculator, atoms: Atoms, way: Array) -> float:
    """What the forces are the gradient of."""
    label = parent.label(displaced(atoms, way))
    return label.energy if label.free_energy is None else label.free_energy


def children() -> list[str]:
    """Process ids of the children of this process."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [pid for task in tasks for pid in task.read_text().split()]
