import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian

from finetuna_flows.structures.fingerprint import structure_fingerprint

PROGRAM = """
from ase.build import fcc111
from finetuna_flows.structures.fingerprint import structure_fingerprint
print(structure_fingerprint(fcc111("Cu", (1, 1, 3), a=3.6, vacuum=5.0)))
"""


@pytest.fixture
def slab() -> Atoms:
    atoms: Atoms = fcc111("Cu", (1, 1, 3), a=3.6, vacuum=5.0)
    return atoms


def test_is_the_same_in_another_process(slab: Atoms) -> None:
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == structure_fingerprint(slab)


def test_copies_match(slab: Atoms) -> None:
    slab.positions[0, 1] = 0.0
    copy = slab.copy()
    copy.calc = EMT()
    copy.info["note"] = "anything"
    copy.positions[0, 1] = -0.0
    assert structure_fingerprint(copy) == structure_fingerprint(slab)


def test_wording_of_constraints_does_not_count(slab: Atoms) -> None:
    other = slab.copy()
    slab.set_constraint([FixAtoms([1]), FixAtoms([0])])
    other.set_constraint([FixAtoms([0, -2]), FixCartesian([1], (True, False, True))])
    assert structure_fingerprint(slab) == structure_fingerprint(other)


def test_every_part_counts(slab: Atoms) -> None:
    seen = {structure_fingerprint(slab)}
    last_bit = slab.copy()
    last_bit.positions[2, 2] = np.nextafter(last_bit.positions[2, 2], 99)
    number, cell, pbc, fixed, tags, moments = (slab.copy() for _ in range(6))
    number.numbers[0] = 47
    cell.cell[2, 2] += 1e-9
    pbc.pbc = (True, False, False)
    fixed.set_constraint(FixCartesian([0], (True, False, False)))
    tags.set_tags([0, 0, 2])
    moments.set_initial_magnetic_moments([1, 0, 0])
    variants = [last_bit, number, cell, pbc, fixed, tags, moments, slab[[0, 2, 1]], slab[:2]]
    seen |= {structure_fingerprint(variant) for variant in variants}
    assert len(seen) == len(variants) + 1
