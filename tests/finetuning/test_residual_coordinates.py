"""Coordinates for kernels: unwrapped, free components only, of one system."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.constraints import FixAtoms, FixCartesian
from hypothesis import given
from hypothesis import strategies as st

from finetuna_flows.errors import SurrogateError
from finetuna_flows.finetuning.coordinates import FreeCoordinates
from finetuna_flows.geometry import moved


def oxygen_on_copper() -> Atoms:
    slab: Atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    add_adsorbate(slab, "O", 1.3, "fcc")
    slab.set_constraint(FixAtoms([0, 1, 2, 3]))
    return slab


@given(
    jumps=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=9, max_size=9),
    seed=st.integers(0, 1000),
)
def test_no_wrapping_changes_them(jumps: list[tuple[int, int]], seed: int) -> None:
    start = oxygen_on_copper()
    coordinates = FreeCoordinates(start)
    way = 0.5 * np.random.default_rng(seed).uniform(-1, 1, size=(9, 3))  # below half of the cell
    way[:4] = 0.0
    images = np.array(jumps) @ start.cell.array[:2]
    read = coordinates.read(moved(start, start.positions + way + images))
    assert read == pytest.approx((start.positions + way)[4:].ravel(), abs=1e-9)


def test_free_components_come_back_to_their_places() -> None:
    start = oxygen_on_copper()
    start.set_constraint([FixAtoms(range(7)), FixCartesian(8, (True, True, False))])
    coordinates = FreeCoordinates(start)
    assert coordinates.read(start) == pytest.approx([*start.positions[7], start.positions[8, 2]])
    spread = coordinates.spread(np.array([1.0, 2.0, 3.0, 4.0]))
    assert not spread[:7].any()
    assert spread[7:].tolist() == [[1, 2, 3], [0, 0, 4]]


def test_constraints_of_what_is_read_do_not_matter() -> None:
    bare = oxygen_on_copper()
    bare.set_constraint()
    assert len(FreeCoordinates(oxygen_on_copper()).read(bare)) == 15


def other_systems() -> list[tuple[Atoms, str]]:
    start = oxygen_on_copper()
    elements = start.copy()
    elements.symbols[8] = "N"
    order = start[[0, 1, 2, 3, 8, 4, 5, 6, 7]]
    more = start + Atoms("O", positions=[[0.0, 0.0, 1.0]])
    cell = start.copy()
    cell.set_cell(start.cell.array + np.diag([0.02, 0.0, 0.0]))
    periodic = start.copy()
    periodic.pbc = (True, True, True)
    fixed = start.copy()
    fixed.positions[2, 1] += 0.05
    return [
        (elements, "atoms are Cu8N but the labels are of Cu8O"),
        (order, "atoms are Cu4OCu4 but the labels are of Cu8O, in this order"),
        (more, "atoms are Cu8O2 but the labels are of Cu8O"),
        (cell, r"cell is 0\.02 Å off that of the labels but may be 1e-05 Å off"),
        (periodic, r"periodic directions are \[True, True, True\] but those of the labels"),
        (fixed, r"fixed atom 2 \(Cu\) is 0\.05 Å from its place but may be 0\.001 Å off"),
    ]


@pytest.mark.parametrize(("atoms", "message"), other_systems())
def test_another_system_is_refused(atoms: Atoms, message: str) -> None:
    with pytest.raises(SurrogateError, match=message):
        FreeCoordinates(oxygen_on_copper()).read(atoms)
