"""Cells that engines keep in one orientation alone, and what an engine is told of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose

from finetuna_flows.colocation.standard_cell import Turn
from finetuna_flows.geometry import Array
from tests.colocation.test_foreign_peers import ROUNDING, by_ase
from tests.contracts.parent import shaken
from tests.fakes import ipi_ase_engine


def primitive(seed: int = 0) -> Atoms:
    """A primitive cell of fcc, none of whose vectors is along an axis."""
    atoms: Atoms = bulk("Cu", a=3.6) * (2, 2, 1)
    return shaken(atoms, seed=seed)


def right_handed(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(3, 3)) + 4.0 * np.eye(3)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("hand", [1.0, -1.0])
def test_the_turned_cell_is_lower_triangular_and_all_distances_stay(seed: int, hand: float) -> None:
    cell = right_handed(seed) * [1.0, 1.0, hand]
    atoms = Atoms("Cu5", np.random.default_rng(seed).normal(size=(5, 3)), cell=cell, pbc=True)
    turned = Turn.standard(cell).turned(atoms)
    new = turned.cell.array
    assert not np.triu(new, 1).any()
    assert (np.diag(new) > 0).all()
    assert_allclose(new @ new.T, cell @ cell.T, atol=1e-12)
    assert_allclose(turned.get_scaled_positions(wrap=False), atoms.get_scaled_positions(wrap=False))
    assert_allclose(turned.get_all_distances(mic=True), atoms.get_all_distances(mic=True))


@pytest.mark.parametrize("seed", range(5))
def test_forces_come_back_as_those_of_the_given_frame(seed: int) -> None:
    atoms = primitive(seed)
    turn = Turn.standard(atoms.cell.array)
    turned = turn.turned(atoms)
    atoms.calc, turned.calc = EMT(), EMT()
    assert turn.matrix is not None
    assert_allclose(turn.back(turned.get_forces()), atoms.get_forces(), atol=ROUNDING)


def test_a_standard_cell_is_left_alone_to_the_last_bit(atoms: Atoms) -> None:
    turn = Turn.standard(atoms.cell.array)
    assert turn.turned(atoms) is atoms
    assert turn.back(atoms.positions) is atoms.positions


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.diag([0.0, 2.0, 0.0])])
def test_what_is_no_cell_is_left_alone(cell: Array) -> None:
    assert Turn.standard(cell).matrix is None


def test_moments_that_are_vectors_are_refused_with_the_way_out() -> None:
    atoms = primitive()
    atoms.set_initial_magnetic_moments(np.ones((len(atoms), 3)))
    with pytest.raises(
        ValueError, match="moments are vectors and the cell is not lower triangular"
    ):
        Turn.standard(atoms.cell.array).turned(atoms)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("standard", [True, False])
def test_the_input_and_the_wire_have_the_same_frame(tmp_path: Path, *, standard: bool) -> None:
    atoms = primitive()
    with replace(by_ase(), standard_cell=standard).build() as parent:
        labels = [parent.label(each) for each in (atoms, shaken(atoms, seed=2))]
    for label, each in zip(labels, (atoms, shaken(atoms, seed=2)), strict=True):
        each.calc = EMT()
        assert label.energy == pytest.approx(each.get_potential_energy(), abs=ROUNDING)
        assert_allclose(label.forces, each.get_forces(), atol=ROUNDING)
    written = ase.io.read(tmp_path / "engine" / "0000" / ipi_ase_engine.INPUT)
    assert isinstance(written, Atoms)
    assert bool(np.triu(written.cell.array, 1).any()) is not standard
