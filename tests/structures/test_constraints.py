import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import (
    FixAtoms,
    FixBondLengths,
    FixCartesian,
    FixConstraint,
    FixedLine,
    FixedPlane,
    FixScaled,
)

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.constraints import (
    constraints_from,
    free_along_axes,
    free_along_lattice,
    with_cartesian_constraints,
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
    after = with_cartesian_constraints(atoms)
    assert {type(c) for c in after.constraints} == {FixAtoms, FixCartesian}
    expected = [[False] * 3, [True, True, False], [True] * 3]
    assert free_components(after).tolist() == expected


Z_FIXED = [False, False, True]
Z_FREE = [True, True, False]


@pytest.mark.parametrize(
    ("constraint", "same"),
    [
        (FixedPlane([0, 2], (0, 0, 1)), FixCartesian([0, 2], Z_FIXED)),
        (FixedPlane([0, 2], (0, 0, -3)), FixCartesian([0, 2], Z_FIXED)),
        (FixedPlane(1, (1e-9, 1, 0)), FixCartesian(1, [False, True, False])),
        (FixedLine([0, 2], (0, 0, 1)), FixCartesian([0, 2], Z_FREE)),
        (FixedLine(-1, (-2, 0, 0)), FixCartesian(2, [False, True, True])),
        (FixCartesian(0, (1, 1, 1)), FixAtoms([0])),
        (FixAtoms(mask=[True, False, True]), FixAtoms([0, 2])),
    ],
)
def test_constraints_that_say_the_same_are_one(
    constraint: FixConstraint, same: FixConstraint
) -> None:
    atoms = Atoms("H3", cell=HEXAGONAL, pbc=True)
    atoms.set_constraint([same, FixAtoms([1])])
    expected = free_components(atoms)
    atoms.set_constraint([constraint, FixAtoms([1])])
    assert (free_components(atoms) == expected).all()
    after = with_cartesian_constraints(atoms)
    assert {type(c) for c in after.constraints} <= {FixAtoms, FixCartesian}
    assert (free_components(after) == expected).all()


@pytest.mark.parametrize("kind", [FixedLine, FixedPlane])
def test_a_direction_that_is_no_axis_refuses(kind: type[FixedLine] | type[FixedPlane]) -> None:
    atoms = Atoms("H3", cell=HEXAGONAL, pbc=True)
    atoms.set_constraint(kind([1, 2], (1, 1, 0)))
    words = (
        rf"{kind.__name__} of atom 1 \(2 in all\) has the direction \(0.7071, 0.7071, 0\) but must"
    )
    for ask in (free_components, with_cartesian_constraints):
        with pytest.raises(StructureError, match=words):
            ask(atoms)


def test_the_motion_that_ase_allows_is_the_one_that_is_free() -> None:
    rng = np.random.default_rng(1)
    for constraint in (FixedLine([0, 2], (0, 1, 0)), FixedPlane([0, 2], (0, 1, 0))):
        atoms = Atoms("H3", positions=rng.normal(size=(3, 3)), cell=HEXAGONAL, pbc=True)
        atoms.set_constraint(constraint)
        forces = rng.normal(size=(3, 3))
        expected = np.where(free_components(atoms), forces, 0.0)
        atoms.calc = SinglePointCalculator(atoms, forces=forces)
        assert atoms.get_forces(apply_constraint=True) == pytest.approx(expected)


def test_other_constraints_refuse() -> None:
    atoms = Atoms("H3", cell=HEXAGONAL, pbc=True)
    atoms.set_constraint([FixedLine([0], (0, 0, 1)), FixBondLengths([(1, 2)])])
    with pytest.raises(StructureError, match="FixBondLengths is not supported; use FixAtoms"):
        with_cartesian_constraints(atoms)
