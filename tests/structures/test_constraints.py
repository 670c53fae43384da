import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixScaled

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.constraints import (
    constraints_from,
    free_along_axes,
    free_along_lattice,
    without_scaled,
)

HEXAGONAL = np.array([[3.0, 0.0, 0.0], [-1.5, 2.598, 0.0], [0.0, 0.0, 20.0]])
ROTATED = HEXAGONAL[:, [1, 2, 0]]


def every_pattern() -> np.ndarray:
    return np.array(
        [[x, y, z] for x in (True, False) for y in (True, False) for z in (True, False)]
    )


def test_constraints_say_what_is_free() -> None:
    free = every_pattern()
    atoms = Atoms("H8", positions=np.arange(24).reshape(8, 3))
    atoms.set_constraint(constraints_from(free))
    assert (free_components(atoms) == free).all()


def test_free_atoms_need_no_constraint() -> None:
    assert constraints_from(np.ones((3, 3), dtype=bool)) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_box_translates_every_pattern_both_ways(order: tuple[int, ...]) -> None:
    cell = np.diag([3.0, 4.0, 5.0])[list(order)]
    flags = every_pattern()
    free = free_along_axes(cell, flags)
    assert (free == flags[:, np.argsort(order)]).all()
    assert (free_along_lattice(cell, free) == flags).all()


def test_motion_allowed_by_the_flags_is_the_motion_allowed_by_the_axes() -> None:
    flags = np.array([[True, True, False], [False, False, True], [True, False, False]])
    free = free_along_axes(ROTATED, flags)
    weights = np.random.default_rng(0).normal(size=(3, 3))
    motion = np.where(flags, weights, 0.0) @ ROTATED
    assert np.where(free, 0.0, motion) == pytest.approx(np.zeros((3, 3)))
    assert (free_along_lattice(ROTATED, free) == flags).all()


def test_oblique_flags_refuses() -> None:
    flags = np.array([[True, True, True], [False, True, False]])
    with pytest.raises(StructureError, match=r"atom 1 may move as F T F along lattice vectors"):
        free_along_axes(HEXAGONAL, flags)
    with pytest.raises(StructureError, match=r"atom 1 may move as F T F along x, y, z"):
        free_along_lattice(HEXAGONAL, flags)


def test_scaled_constraints_become_cartesian_beside_others() -> None:
    atoms = Atoms("H3", cell=HEXAGONAL, pbc=True)
    atoms.set_constraint([FixAtoms([0]), FixScaled([1], (False, False, True))])
    after = without_scaled(atoms)
    assert {type(c) for c in after.constraints} == {FixAtoms, FixCartesian}
    expected = [[False] * 3, [True, True, False], [True] * 3]
    assert free_components(after).tolist() == expected
