import json

import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian

from finetuna_flows.structures.fingerprint import structure_identity


@pytest.fixture
def slab() -> Atoms:
    atoms: Atoms = fcc111("Cu", (1, 1, 3), a=3.6, vacuum=5.0)
    return atoms


def test_it_is_plain_json(slab: Atoms) -> None:
    identity = structure_identity(slab)
    assert json.loads(json.dumps(identity)) == identity


def test_copies_match(slab: Atoms) -> None:
    copy = slab.copy()
    copy.calc = EMT()
    copy.info["note"] = "anything"
    assert structure_identity(copy) == structure_identity(slab)


def test_wording_of_constraints_does_not_count(slab: Atoms) -> None:
    other = slab.copy()
    slab.set_constraint([FixAtoms([1]), FixAtoms([0])])
    other.set_constraint([FixAtoms([0, -2]), FixCartesian([1], (True, False, True))])
    assert structure_identity(slab) == structure_identity(other)


def test_every_part_counts(slab: Atoms) -> None:
    moved, number, cell, pbc, fixed, tags, moments = (slab.copy() for _ in range(7))
    moved.positions[2, 2] += 1e-3
    number.numbers[0] = 47
    cell.cell[2, 2] += 1e-3
    pbc.pbc = (True, False, False)
    fixed.set_constraint(FixCartesian([0], (True, False, False)))
    tags.set_tags([0, 0, 2])
    moments.set_initial_magnetic_moments([1, 0, 0])
    variants = [moved, number, cell, pbc, fixed, tags, moments, slab[:2]]
    seen = {json.dumps(structure_identity(each)) for each in (slab, *variants)}
    assert len(seen) == len(variants) + 1
