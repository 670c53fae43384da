"""An isolated molecule is turned by nobody, so that a false frame shows."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

from finetuna_flows.colocation.isolated import check_isolated
from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array

NAMES = ("H2O", "CO2", "CH4", "CH3CH2OH")
DRAWS = 40


def is_refused(atoms: Atoms, forces: Array) -> bool:
    try:
        check_isolated(atoms, forces)
    except ParentError as exc:
        assert "have a net torque of" in str(exc)  # noqa: PT017 - one of many draws
        assert "but must have none" in str(exc)  # noqa: PT017
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_true_forces_pass_and_most_of_those_in_another_frame_do_not(name: str) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(DRAWS):
        atoms = molecule(name)
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.calc = EMT()
        forces = atoms.get_forces()
        assert not is_refused(atoms, forces)
        elsewhere = atoms.copy()
        elsewhere.rotate(70.0, rng.normal(size=3))
        refused += is_refused(elsewhere, forces)
    assert refused >= 0.8 * DRAWS


def test_forces_of_other_atoms_are_told() -> None:
    atoms = molecule("H2O")
    atoms.positions[1] *= 1.2
    atoms.calc = EMT()
    with pytest.raises(ParentError, match=r"have a net torque of .* eV \(of .* at most\) but must"):
        check_isolated(atoms, atoms.get_forces()[[1, 2, 0]])


def test_noise_and_weak_fields_pass() -> None:
    atoms = molecule("H2O")
    forces = np.random.default_rng(0).normal(scale=0.1, size=(3, 3))
    check_isolated(atoms, forces)


def test_a_periodic_structure_is_not_checked() -> None:
    atoms = molecule("H2O", pbc=(True, False, False), cell=(4, 0, 0))
    check_isolated(atoms, np.cross(atoms.positions, [9.0, 0.0, 0.0]))


def test_a_single_atom_is_not_checked() -> None:
    check_isolated(Atoms("H"), np.full((1, 3), 9.0))
