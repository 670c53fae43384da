import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, graphene, molecule
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from finetuna_flows.reasons import Integrity
from finetuna_flows.structures.connectivity import (
    find_bonds,
    fragments,
    integrity,
    same_minimum,
)

N_SLAB = 12
CARBON, OXYGEN = N_SLAB, N_SLAB + 1


@pytest.fixture
def start() -> Atoms:
    """CO on top of Cu(111), carbon down."""
    slab = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=8.0, periodic=True)
    top = slab.positions[8]
    guest = Atoms("CO", positions=top + np.array([(0, 0, 1.85), (0, 0, 3.0)]))
    atoms: Atoms = slab + guest
    atoms.set_tags([0] * 8 + [1] * 4 + [2, 2])
    atoms.set_constraint(FixAtoms(range(8)))
    return atoms


def shifted(atoms: Atoms, members: list[int], by: tuple[float, float, float]) -> Atoms:
    copy: Atoms = atoms.copy()
    copy.positions[members] += by
    return copy


def test_nothing_happened(start: Atoms) -> None:
    assert integrity(start, start) is Integrity.INTACT
    assert integrity(start, shifted(start, [CARBON, OXYGEN], (1.2, 0.4, -0.1))) is Integrity.INTACT


def test_broken_bond_is_dissociation(start: Atoms) -> None:
    assert integrity(start, shifted(start, [OXYGEN], (1.8, 0.8, -1.2))) is Integrity.DISSOCIATED


def test_formed_bond_is_dissociation_too(start: Atoms) -> None:
    apart = shifted(start, [OXYGEN], (1.8, 0.8, -1.2))
    assert integrity(apart, start) is Integrity.DISSOCIATED


def test_molecule_in_the_vacuum_is_desorbed(start: Atoms) -> None:
    assert integrity(start, shifted(start, [CARBON, OXYGEN], (0, 0, 4.0))) is Integrity.DESORBED


def test_molecule_that_never_touched_cannot_desorb(start: Atoms) -> None:
    above = shifted(start, [CARBON, OXYGEN], (0, 0, 4.0))
    assert integrity(above, shifted(above, [CARBON, OXYGEN], (0, 0, 0.5))) is Integrity.INTACT
    assert integrity(above, start) is Integrity.INTACT


def crossed(start: Atoms) -> Atoms:
    """The molecule hangs, oxygen up, from the bottom of the slab's next image."""
    end: Atoms = start.copy()
    bottom = start.positions[0] + start.cell[2]
    end.positions[OXYGEN] = bottom - (0, 0, 1.85)
    end.positions[CARBON] = bottom - (0, 0, 3.0)
    return end


def test_molecule_at_the_next_image_has_crossed_the_vacuum(start: Atoms) -> None:
    assert integrity(start, crossed(start)) is Integrity.CROSSED_VACUUM


def test_isolated_slab_has_no_next_image(start: Atoms) -> None:
    end = crossed(start)
    for atoms in (start, end):
        atoms.pbc = (True, True, False)
    assert integrity(start, end) is Integrity.DESORBED


def test_two_sides_of_one_layer() -> None:
    sheet = graphene("C2", size=(3, 3, 1), vacuum=8.0)
    sheet.pbc = True
    above = sheet + Atoms("O", positions=[sheet.positions[0] + (0, 0, 1.4)])
    above.set_tags([1] * 18 + [2])
    below = above.copy()
    below.positions[-1, 2] -= 2.8
    assert integrity(above, below) is Integrity.CROSSED_VACUUM


def test_each_molecule_is_watched(start: Atoms) -> None:
    second = start.positions[9] + (0, 0, 1.0)
    both = start + Atoms("H", positions=[second])
    both.set_tags([*start.get_tags(), 2])
    both.set_constraint(start.constraints)
    assert integrity(both, both) is Integrity.INTACT
    assert integrity(both, shifted(both, [14], (0, 0, 5.0))) is Integrity.DESORBED


def test_molecule_without_a_slab_is_intact_until_it_breaks() -> None:
    alone = molecule("CO")
    alone.set_tags([2, 2])
    assert integrity(alone, alone) is Integrity.INTACT
    assert integrity(alone, shifted(alone, [0], (0, 0, 1.5))) is Integrity.DISSOCIATED


def test_no_adsorbate(start: Atoms) -> None:
    start.set_tags(None)
    assert integrity(start, start) is Integrity.NO_ADSORBATE


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ((0.0, 0.0, 0.0), Integrity.INTACT),
        ((0.0, 0.0, 4.0), Integrity.DESORBED),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_findings_do_not_see_translation_rotation_permutation_wrapping(
    start: Atoms, change: tuple[float, float, float], finding: Integrity, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    end = shifted(start, [CARBON, OXYGEN], change)
    order = rng.permutation(len(start))
    pair = [start[order], end[order]]
    axis, way = rng.normal(size=3), rng.normal(scale=10.0, size=3)
    for atoms in pair:
        atoms.set_constraint()
        atoms.rotate(50.0, axis, rotate_cell=True)
        atoms.translate(way)
    pair[1].wrap()
    assert integrity(*pair) is finding


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
def test_crossing_does_not_see_the_order_of_the_cell_vectors(
    start: Atoms, order: tuple[int, ...]
) -> None:
    pair = [start.copy(), crossed(start)]
    for atoms in pair:
        atoms.set_cell(start.cell[list(order)])
    assert integrity(*pair) is Integrity.CROSSED_VACUUM
    assert integrity(pair[0], pair[0]) is Integrity.INTACT


def test_crossing_does_not_see_wrapping(start: Atoms) -> None:
    end = crossed(start)
    for way in (0.0, 5.0, -9.0):
        moved = end.copy()
        moved.set_constraint()
        moved.translate((0, 0, way))
        moved.wrap()
        assert integrity(start, moved) is Integrity.CROSSED_VACUUM


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, True, False)])
def test_bonds_are_those_of_the_neighbour_list(pbc: tuple[bool, bool, bool]) -> None:
    rng = np.random.default_rng(0)
    cell = [[2.4, 0.0, 0.0], [1.5, 3.0, 0.3], [0.2, -1.0, 6.0]]  # narrower than a bond
    atoms = Atoms("CuOHZr", positions=rng.normal(scale=6.0, size=(4, 3)), cell=cell, pbc=pbc)
    bonds = find_bonds(atoms, range(4), range(4), 1.5)
    i, j, vectors = neighbor_list("ijD", atoms, 1.5 * covalent_radii[atoms.numbers])
    ours = np.column_stack([bonds.first, bonds.second, bonds.vectors]).round(6)
    theirs = np.column_stack([i, j, vectors]).round(6)
    assert {tuple(row) for row in ours} == {tuple(row) for row in theirs}
    assert len(ours) == len(theirs)


def test_fragments_across_the_cell() -> None:
    atoms = Atoms(
        "H2O2", positions=[(0.1, 0, 0), (9.5, 0, 0), (5, 0, 0), (5, 5, 5)], cell=[10] * 3, pbc=True
    )
    assert fragments(atoms, range(4)) == {frozenset({0, 1}), frozenset({2}), frozenset({3})}
    assert fragments(atoms, [0, 2]) == {frozenset({0}), frozenset({2})}


@pytest.mark.parametrize("name", ["CH3CH2OH", "C6H6", "CH3COOH", "SiH4", "NaCl"])
def test_molecules_hang_together(name: str) -> None:
    assert len(fragments(molecule(name), range(len(molecule(name))))) == 1


def test_other_atoms_refuses(start: Atoms) -> None:
    with pytest.raises(ValueError, match="must hold the same atoms in the same order"):
        integrity(start, start[:-1])
    with pytest.raises(ValueError, match="must hold the same atoms in the same order"):
        same_minimum(start, start[[*range(N_SLAB), OXYGEN, CARBON]])


def test_same_minimum_is_reflexive_and_symmetric(start: Atoms) -> None:
    assert same_minimum(start, start).same
    near = shifted(start, [CARBON, OXYGEN], (0.1, 0.0, 0.0))
    one, other = same_minimum(start, near), same_minimum(near, start)
    assert one.same
    assert other.same
    assert one.rmsd == pytest.approx(other.rmsd)
    assert one.rmsd == pytest.approx(0.1 * np.sqrt(2 / 6))  # two of six free atoms moved
    assert one.farthest == pytest.approx(0.1)


def test_same_minimum_does_not_see_wrapping(start: Atoms) -> None:
    end = shifted(start, [CARBON, OXYGEN], (0.1, 0.0, 0.0))
    end.set_constraint()
    end.positions[::2] += 2 * start.cell[0] - start.cell[2]
    assert same_minimum(start, end).farthest == pytest.approx(0.1)
    assert same_minimum(start, end).same


def test_far_atom_is_another_minimum(start: Atoms) -> None:
    verdict = same_minimum(start, shifted(start, [11], (0.5, 0.0, 0.0)))
    assert verdict.farthest == pytest.approx(0.5)
    assert not verdict.same


def test_small_move_that_breaks_a_bond_is_another_minimum() -> None:
    whole = molecule("H2")
    whole.set_constraint(FixAtoms([0]))
    loose = whole.copy()
    loose.positions[1, 2] -= 0.44
    verdict = same_minimum(whole, loose)
    assert not verdict.same_bonds
    assert not verdict.same


def test_free_molecule_may_turn_and_move() -> None:
    water, other = molecule("H2O"), molecule("H2O")
    other.rotate(80, (1, 2, 3))
    other.translate((4, 5, 6))
    assert same_minimum(water, other).rmsd == pytest.approx(0.0, abs=1e-6)


def test_unfixed_slab_may_move(start: Atoms) -> None:
    start.set_constraint()
    end = start.copy()
    end.translate((0.7, -0.9, 0.4))
    assert same_minimum(start, end).rmsd == pytest.approx(0.0, abs=1e-9)
