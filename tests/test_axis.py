"""The surface normal is where the widest gap is, however the cell vectors are ordered."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111, fcc211, graphene, hcp0001, molecule

from finetuna_flows.axis import gaps, has_vacuum, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import fix_bottom_layers
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface import heights, layers

ORDERS = list(permutations(range(3)))
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")


def periodic(atoms: Atoms) -> Atoms:
    atoms.pbc = True
    return atoms


SLABS = {
    "fcc111": periodic(fcc111("Cu", (2, 2, 3), vacuum=6.0)),
    "fcc100": periodic(fcc100("Pt", (2, 3, 4), vacuum=5.0)),
    "fcc211": periodic(fcc211("Cu", (3, 2, 3), vacuum=6.0)),
    "hcp0001": periodic(hcp0001("Ti", (1, 1, 2), vacuum=7.0)),
    "graphene": periodic(graphene(size=(2, 2, 1), vacuum=4.0)),
    "one open layer": periodic(fcc110("Al", (1, 1, 1), vacuum=6.0)),
    "wide": periodic(fcc111("Ag", (1, 6, 1), vacuum=5.0)),
    "thick": periodic(fcc111("Au", (1, 1, 9), vacuum=3.0)),
}


def reordered(atoms: Atoms, order: tuple[int, ...]) -> Atoms:
    """The same atoms in the same cell, whose vectors are called by other names."""
    copy: Atoms = atoms.copy()
    copy.set_cell(atoms.cell[list(order)])
    copy.pbc = atoms.pbc[list(order)]
    return copy


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SLABS)
def test_the_axis_goes_with_the_cell_vectors(name: str, order: tuple[int, ...]) -> None:
    slab = SLABS[name]
    turned = reordered(slab, order)
    axis = order.index(2)
    assert surface_axis(turned) == axis
    assert gaps(turned) == pytest.approx(gaps(slab)[list(order)])
    assert has_vacuum(turned).tolist() == [each == axis for each in range(3)]
    assert heights(turned) == pytest.approx(heights(slab), abs=1e-7)
    lowest = layers(heights(slab)) == 0
    fixed = fix_bottom_layers(turned, 1).constraints[0].index
    assert fixed.tolist() == np.flatnonzero(lowest).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_turning_moving_wrapping_and_reordering_atoms_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slab = add_adsorbate(build_slab("Cu", (1, 1, 1), n_layers=3), "CO", "hollow")
    order = tuple(rng.permutation(3).tolist())
    there = rng.permutation(len(slab))
    turned = reordered(slab, order)[there]
    turned.set_constraint()
    turned.rotate(rng.uniform(0, 360), rng.normal(size=3), rotate_cell=True)
    turned.translate(rng.normal(scale=20.0, size=3))
    turned.wrap()
    assert surface_axis(turned) == order.index(2)
    assert gaps(turned) == pytest.approx(gaps(slab)[list(order)])
    fixed = fix_bottom_layers(turned, 2).constraints[0].index
    assert sorted(there[fixed]) == fix_bottom_layers(slab, 2).constraints[0].index.tolist()


@pytest.mark.parametrize("order", ORDERS)
def test_an_adsorbate_lands_on_the_surface_wherever_the_vacuum_is(order: tuple[int, ...]) -> None:
    slab = build_slab("Cu", (1, 0, 0), n_layers=3)
    straight = add_adsorbate(slab, "CO", "hollow")
    along = add_adsorbate(reordered(slab, order), "CO", "hollow")
    assert along.cell.array == pytest.approx(straight.cell.array[list(order)])
    for each, other in zip(along[-2:], straight[-2:], strict=True):
        assert each.z == pytest.approx(other.z)
    near, expected = (np.sort(each.get_all_distances(mic=True)) for each in (along, straight))
    assert near[-2:] == pytest.approx(expected[-2:])  # an equal site, perhaps another one


def test_gaps_are_those_of_a_search_along_the_axis() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        cell = np.diag(rng.uniform(4, 12, 3)) + rng.normal(scale=1.0, size=(3, 3))
        positions = rng.normal(scale=9.0, size=(rng.integers(1, 6), 3))
        atoms = Atoms("H" * len(positions), positions=positions, cell=cell, pbc=True)
        for axis in range(3):
            levels = np.sort(atoms.get_scaled_positions()[:, axis])
            widest = np.diff(levels, append=levels[0] + 1).max()
            distance = atoms.cell.volume / atoms.cell.area(axis)
            assert gaps(atoms)[axis] == pytest.approx(widest * distance)


def test_vacuum_is_what_no_atom_reaches() -> None:
    caesium = bulk("Cs", "sc", a=6.1)
    assert gaps(caesium) == pytest.approx(6.1)
    assert not has_vacuum(caesium).any()
    assert has_vacuum(bulk("C", "sc", a=6.1)).all()
    assert not has_vacuum(bulk("C", "sc", a=4.9)).any()


def test_an_adsorbate_that_fills_the_vacuum_does_not_hide_it() -> None:
    slab = periodic(fcc111("Cu", (2, 2, 3), vacuum=4.0))
    full = slab + Atoms("C2", positions=slab.positions[-1] + [(0, 0, 2.0), (0, 0, 4.0)])
    full.set_tags([1] * len(slab) + [2, 2])
    assert surface_axis(full) == 2
    full.set_tags(0)
    with pytest.raises(StructureError, match="Cu12C2 has vacuum along no axis"):
        surface_axis(full)


@pytest.mark.parametrize("axis", range(3))
def test_where_one_axis_is_not_periodic_that_is_it(axis: int) -> None:
    order = ((2, 0, 1), (0, 2, 1), (0, 1, 2))[axis]
    slab = reordered(fcc111("Cu", (2, 2, 3), vacuum=1.0), order)
    assert slab.pbc.tolist() == [each != axis for each in range(3)]
    assert surface_axis(slab) == axis
    flat = reordered(fcc111("Cu", (2, 2, 3)), order)
    assert flat.cell.rank == 2
    assert surface_axis(flat) == axis


def test_a_crystal_is_refused_by_its_gaps() -> None:
    words = r"has vacuum along no axis \(widest gaps between atoms along a 1.8 Å, b 1.8 Å, c 1.8 Å"
    with pytest.raises(StructureError, match=words):
        surface_axis(bulk("Cu", cubic=True, a=3.6))
    with pytest.raises(StructureError, match="so that its surface normal is not known"):
        fix_bottom_layers(bulk("Cu", cubic=True), 1)
    with pytest.raises(StructureError, match="vacuum along no axis"):
        add_adsorbate(bulk("Cu", cubic=True), "O")


def test_a_molecule_in_a_box_and_a_wire_are_refused_by_their_axes() -> None:
    boxed = periodic(molecule("H2O", vacuum=5.0))
    with pytest.raises(StructureError, match="OH2 has vacuum along a and b and c"):
        surface_axis(boxed)
    wire = Atoms("Au", cell=[12.0, 2.7, 15.0], pbc=True)
    with pytest.raises(
        StructureError, match=r"Au has vacuum along a and c \(.* a 12.0 Å, b 2.7 Å, c 15.0 Å\)"
    ):
        heights(wire)


@pytest.mark.parametrize(
    ("cell", "unit"),
    [
        ([[2.5, 0, 0], [5.0, 0, 0], [2, 2, 0]], "Å³"),
        ([[2.5, 0, 0], [5.0, 0, 0], [0, 0, 0]], "Å²"),
        ([[2.5, 0, 0], [0, 0, 0], [0, 0, 0]], "Å²"),
    ],
)
def test_a_cell_without_a_surface_is_refused(cell: list[list[float]], unit: str) -> None:
    with pytest.raises(StructureError, match=f"of Cu span 0 {unit} but a slab needs a surface"):
        surface_axis(Atoms("Cu", cell=cell, pbc=True))


def test_periodicity_that_contradicts_the_vacuum_is_refused() -> None:
    slab = reordered(fcc111("Cu", (2, 2, 3), vacuum=6.0), (2, 0, 1))
    slab.pbc = (True, True, False)
    with pytest.raises(StructureError, match="not periodic along c but has its vacuum elsewhere"):
        surface_axis(slab)
