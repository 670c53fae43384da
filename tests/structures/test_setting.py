from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.io import read, write

from finetuna_flows.structures.fingerprint import start_key
from finetuna_flows.structures.setting import in_order, in_setting
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface import heights, layers

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")


def other_settings(slab: Atoms) -> list[Atoms]:
    """The same slab turned, moved, reordered, in other pairs of vectors."""
    rng = np.random.default_rng(0)
    made = []
    for steps in ([[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[1, 1], [-1, 0]]):
        turned = slab.copy()
        cell = turned.cell.array.copy()
        cell[:2] = np.array(steps) @ cell[:2]
        turned.set_cell(cell)
        turned.rotate(float(rng.uniform(0, 360)), "z", rotate_cell=True)
        turned.translate([*rng.uniform(-5, 5, 2), 0.0])
        turned.wrap(pbc=(True, True, False))
        made.append(turned[rng.permutation(len(turned))])
    return made


@pytest.mark.parametrize("miller", [(1, 1, 1), (1, 0, 0), (1, 1, 0), (2, 1, 1)])
def test_every_setting_of_a_slab_becomes_the_same_one(miller: tuple[int, int, int]) -> None:
    slab = build_slab("Pt", miller, n_layers=3, supercell=(1, 1), fixed_layers=0)
    expected = in_order(in_setting(slab))
    for other in other_settings(slab):
        found = in_order(in_setting(other))
        assert found.cell.array == pytest.approx(expected.cell.array, abs=1e-8)
        assert found.positions == pytest.approx(expected.positions, abs=1e-8)
        again = in_order(in_setting(found))
        assert again.positions == pytest.approx(found.positions, abs=1e-8)


def test_setting_of_fcc111_is_that_of_ase() -> None:
    slab = build_slab("Pt", lattice_constant=3.9, n_layers=4, vacuum=12.0)
    reference = fcc111("Pt", (2, 2, 4), a=3.9, vacuum=6.0, periodic=True)
    assert slab.cell.array == pytest.approx(reference.cell.array, abs=1e-7)
    away = slab.positions[:, None] - reference.positions
    away[..., :2] -= away[slab.positions[:, 2].argmax(), reference.positions[:, 2].argmax(), :2]
    fractions = away @ np.linalg.inv(reference.cell.array)
    off = np.linalg.norm((fractions - np.round(fractions)) @ reference.cell.array, axis=2)
    assert off.min(axis=1) == pytest.approx(0.0, abs=1e-6)


def test_the_top_does_not_depend_on_what_lies_deeper() -> None:
    thin, thick = (build_slab("Ag", n_layers=n, vacuum=10.0) for n in (3, 5))
    below_top = heights(thick).max() - heights(thin).max()
    top = thick[layers(heights(thick)) >= 2]
    assert top.positions[:, :2] == pytest.approx(thin.positions[:, :2], abs=1e-7)
    assert top.positions[:, 2] - below_top == pytest.approx(thin.positions[:, 2], abs=1e-7)


def test_atoms_count_from_the_bottom() -> None:
    layer = layers(heights(build_slab("Pd", (2, 1, 1), n_layers=5)))
    assert all(lower <= higher for lower, higher in pairwise(layer))


def test_built_numbers_survive_a_file_with_eight_decimals(tmp_path: Path) -> None:
    slab = build_slab("Cu", (2, 1, 1), lattice_constant=3.615)
    write(tmp_path / "slab.extxyz", slab)
    again = read(tmp_path / "slab.extxyz")
    assert isinstance(again, Atoms)
    assert (again.positions == slab.positions).all()
    assert (again.cell.array == slab.cell.array).all()
    assert start_key(again) == start_key(slab)
