"""The cell that an embedded engine is given."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose, assert_array_equal

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.cells import bare_copy, crystal_lengths, kpoint_grid


def test_distances_survive_the_box() -> None:
    water = molecule("H2O")
    boxed = bare_copy(water, 5.0)
    assert_allclose(boxed.get_all_distances(), water.get_all_distances())


@pytest.mark.parametrize("shift", [(0, 0, 0), (3.3, -7.1, 100.0)])
def test_the_box_does_not_depend_on_where_the_molecule_is(shift: tuple[float, ...]) -> None:
    water = molecule("H2O")
    water.translate(shift)
    boxed, reference = bare_copy(water, 5.0), bare_copy(molecule("H2O"), 5.0)
    assert_allclose(boxed.positions, reference.positions, atol=1e-9)
    assert_array_equal(boxed.cell, reference.cell)


def test_the_walls_keep_their_distance() -> None:
    boxed = bare_copy(molecule("CH3CH2OH"), 5.0)
    lengths = boxed.cell.lengths()
    assert boxed.positions.min() >= 5.0 - 1e-9
    assert (lengths - boxed.positions.max(axis=0)).min() >= 5.0 - 1e-9


def test_a_small_move_keeps_the_box() -> None:
    water = molecule("H2O")
    water.rattle(0.05, seed=1)
    assert_array_equal(bare_copy(water, 5.0).cell, bare_copy(molecule("H2O"), 5.0).cell)


def test_only_the_missing_vector_is_made() -> None:
    slab = fcc111("Al", (2, 2, 2))
    boxed = bare_copy(slab, 6.0)
    assert_allclose(boxed.cell[:2], slab.cell[:2])
    assert_allclose(boxed.cell[2, :2], 0, atol=1e-12)
    assert_allclose(boxed.positions[:, :2], slab.positions[:, :2])
    assert boxed.cell[2, 2] == pytest.approx(16.0)  # 2.34 + 12, in steps of 2


def test_a_full_cell_is_kept_and_all_else_is_dropped() -> None:
    slab = fcc111("Al", (2, 2, 2), vacuum=6.0)
    slab.set_constraint(FixAtoms([0]))
    slab.set_initial_magnetic_moments([1.0] * 8)
    slab.set_initial_charges([0.1] * 8)
    bare = bare_copy(slab, 6.0)
    assert bare == slab  # numbers, positions, cell, periodicity
    assert not bare.constraints
    assert not bare.get_initial_magnetic_moments().any()
    assert not bare.get_initial_charges().any()


def test_a_periodic_direction_without_a_vector_is_refused() -> None:
    slab = fcc111("Al", (2, 2, 2))
    slab.pbc = True
    with pytest.raises(ParentError, match=r"cell vector 2 is zero but the structure is periodic"):
        bare_copy(slab, 6.0)


@pytest.mark.parametrize("pbc", [(True, True, False), True])
def test_a_2x2_aluminium_surface_gets_2x2x1(pbc: bool | tuple[bool, ...]) -> None:
    slab = fcc111("Al", (2, 2, 2), a=4.066, vacuum=6.0)
    slab.pbc = pbc
    assert kpoint_grid(slab, 12.0) == (2, 2, 1)


def test_more_points_for_less_cell() -> None:
    assert kpoint_grid(bulk("Al", cubic=True, a=4.0), 12.0) == (3, 3, 3)
    assert kpoint_grid(fcc111("Al", (1, 2, 3), a=4.066, vacuum=6.0), 12.0) == (4, 2, 1)
    assert kpoint_grid(bulk("Al", cubic=True, a=4.0).repeat(5), 12.0) == (1, 1, 1)


def test_turning_the_cell_keeps_the_grid() -> None:
    slab = fcc111("Al", (1, 2, 2), a=4.066, vacuum=6.0)
    turned = slab.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    assert kpoint_grid(turned, 12.0) == kpoint_grid(slab, 12.0)


@pytest.mark.parametrize("off", [-1e-15, 0.0, 1e-15])
def test_half_a_point_does_not_hang_on_the_last_bit(off: float) -> None:
    crystal = Atoms("Cu", cell=np.array([3.2, 3.2, 16.0]) * (1 + off), pbc=True)
    crystal.set_cell(np.diag(crystal.cell.lengths()))
    crystal *= (1, 1, 6)
    assert kpoint_grid(crystal, 40.0) == (12, 12, 1)  # 12.5, and a half goes to the even number


def test_a_molecule_in_a_periodic_box_gets_one_point() -> None:
    water = molecule("H2O", vacuum=5.0)
    water.pbc = True
    assert kpoint_grid(water, 40.0) == (1, 1, 1)


@pytest.mark.parametrize("shift", [0.0, 0.31, 0.77])
def test_vacuum_is_seen_wherever_the_slab_lies(shift: float) -> None:
    slab = fcc111("Al", (2, 2, 3), vacuum=6.0)
    slab.pbc = True
    slab.set_scaled_positions(slab.get_scaled_positions() + np.array([0, 0, shift]))
    lengths = crystal_lengths(slab)
    assert np.isinf(lengths).tolist() == [False, False, True]


def test_a_lone_atom_in_a_large_cell_is_in_vacuum_all_round() -> None:
    assert np.isinf(crystal_lengths(Atoms("Al", cell=[8, 8, 8], pbc=True))).all()
