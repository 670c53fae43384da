from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, graphene, molecule
from ase.data import covalent_radii
from scipy.spatial.transform import Rotation

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.sites import adsorption_sites
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface_points import Kind

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")

REACH = covalent_radii[29] + covalent_radii[8]


@pytest.fixture(scope="module")
def slab() -> Atoms:
    return build_slab("Cu", lattice_constant=3.6, n_layers=3, fixed_layers=2)


def nearest(atoms: Atoms, count: int) -> np.ndarray:
    oxygen = int(np.flatnonzero(atoms.get_tags() == 2)[0])
    copper = np.flatnonzero(atoms.get_tags() != 2)
    return np.sort(atoms.get_distances(oxygen, copper, mic=True))[:count]


@pytest.mark.parametrize(("site", "neighbours"), [("ontop", 1), ("bridge", 2), ("hollow", 3)])
def test_sites_of_fcc111(slab: Atoms, site: Kind, neighbours: int) -> None:
    covered = add_adsorbate(slab, "O", site)
    distances = nearest(covered, neighbours + 1)
    assert distances[:neighbours] == pytest.approx(REACH)
    assert distances[neighbours] > REACH + 0.5


@pytest.mark.parametrize(
    ("miller", "counts"),
    [
        ((1, 1, 1), {"ontop": 1, "bridge": 1, "hollow": 2}),
        ((1, 0, 0), {"ontop": 1, "bridge": 1, "hollow": 1}),
        ((1, 1, 0), {"ontop": 1, "bridge": 2, "hollow": 1}),
    ],
)
def test_distinct_sites_of_fcc(miller: tuple[int, int, int], counts: dict[str, int]) -> None:
    sites = adsorption_sites(build_slab("Cu", miller, lattice_constant=3.6))
    assert Counter(site.kind for site in sites) == counts


def test_hollow_of_fcc100_touches_four() -> None:
    square = build_slab("Cu", (1, 0, 0), lattice_constant=3.6)
    assert nearest(add_adsorbate(square, "O", "hollow"), 4) == pytest.approx(REACH)


def test_two_hollows_differ_by_the_atom_below(slab: Atoms) -> None:
    first, second = (add_adsorbate(slab, "O", "hollow", which=which) for which in (0, 1))
    assert nearest(first, 3) == pytest.approx(nearest(second, 3))
    assert nearest(first, 8) != pytest.approx(nearest(second, 8), abs=0.1)


def test_atom_stays_in_the_plane_of_a_ring_it_would_fall_through() -> None:
    sheet = graphene(size=(2, 2, 1), vacuum=7.0)
    sheet.pbc = True
    covered = add_adsorbate(sheet, "H", "hollow")
    assert covered.positions[-1, 2] == pytest.approx(sheet.positions[0, 2])
    assert nearest(covered, 6) == pytest.approx(1.42, abs=1e-3)


def test_height_counts_from_the_top(slab: Atoms) -> None:
    covered = add_adsorbate(slab, "O", height=2.5)
    assert covered.positions[-1, 2] - slab.positions[:, 2].max() == pytest.approx(2.5)
    assert nearest(covered, 1) == pytest.approx(2.5)


def test_slab_keeps_what_it_had(slab: Atoms) -> None:
    covered = add_adsorbate(slab, "CO")
    n = len(slab)
    assert covered.positions[:n] == pytest.approx(slab.positions)
    assert covered.get_tags().tolist() == [*slab.get_tags().tolist(), 2, 2]
    assert (free_components(covered)[:n] == free_components(slab)).all()
    assert free_components(covered)[n:].all()
    assert not covered.has("initial_magmoms")


def test_molecule_as_given_binds_with_its_lowest_atom(slab: Atoms) -> None:
    covered = add_adsorbate(slab, "CO")
    assert covered.symbols[-1] == "C"
    assert covered.positions[-2, 2] > covered.positions[-1, 2]
    inside = covered[-2:].get_all_distances()
    assert inside == pytest.approx(molecule("CO").get_all_distances())


@pytest.mark.parametrize("anchor", [0, 1])
def test_anchor_turns_the_molecule(slab: Atoms, anchor: int) -> None:
    lying = molecule("OH")
    lying.rotate(70, "x")
    covered = add_adsorbate(slab, lying, anchor=anchor)
    bound, rest = covered.positions[len(slab) + anchor], covered.positions[len(slab) + 1 - anchor]
    assert (rest - bound)[:2] == pytest.approx(0.0, abs=1e-9)
    assert rest[2] > bound[2]


@pytest.mark.parametrize("cosine", [-1.0, 1.0])
def test_molecule_along_the_normal_is_turned_whole(slab: Atoms, cosine: float) -> None:
    tilted = slab.copy()
    tilted.rotate(35, (1, 2, 0.5), rotate_cell=True)
    normal = np.cross(tilted.cell[0], tilted.cell[1])
    guest = molecule("CH3OH")
    up = np.delete(guest.positions, 1, axis=0).mean(axis=0) - guest.positions[1]
    turn, _ = Rotation.align_vectors([cosine * normal], [up])
    guest.positions = turn.apply(guest.positions)
    covered = add_adsorbate(tilted, guest, anchor=1, height=3.0)[len(slab) :]
    assert covered.get_all_distances() == pytest.approx(guest.get_all_distances(), abs=1e-7)
    away = np.delete(covered.positions, 1, axis=0).mean(axis=0) - covered.positions[1]
    assert away / np.linalg.norm(away) == pytest.approx(normal / np.linalg.norm(normal), abs=1e-6)


def test_anchor_in_the_centre_needs_no_turn(slab: Atoms) -> None:
    covered = add_adsorbate(slab, "CO2", anchor=0, height=2.5)
    assert covered[-3:].get_all_distances() == pytest.approx(molecule("CO2").get_all_distances())


def test_slab_that_sticks_out_of_its_cell_has_the_same_top(slab: Atoms) -> None:
    wrapped = slab.copy()
    wrapped.translate((0, 0, -10.0))
    wrapped.wrap()
    assert nearest(add_adsorbate(wrapped, "O"), 4) == pytest.approx(
        nearest(add_adsorbate(slab, "O"), 4)
    )


def test_tilted_slab_gets_the_molecule_along_its_normal(slab: Atoms) -> None:
    tilted = slab.copy()
    tilted.rotate(35, (1, 2, 0.5), rotate_cell=True)
    straight, along = add_adsorbate(slab, "CO", "bridge"), add_adsorbate(tilted, "CO", "bridge")
    for inside, outside in ((along, straight), (along[len(slab) :], straight[len(slab) :])):
        assert np.sort(inside.get_all_distances(mic=True), axis=None) == pytest.approx(
            np.sort(outside.get_all_distances(mic=True), axis=None), abs=1e-6
        )


def test_second_molecule_finds_the_metal_below_the_first(slab: Atoms) -> None:
    once = add_adsorbate(slab, "O", "hollow", which=0)
    twice = add_adsorbate(once, "O", "ontop")
    assert twice.get_tags().tolist().count(2) == 2
    with pytest.raises(StructureError, match=r"\(O\) are 0.000 Å apart"):
        add_adsorbate(once, "O", "hollow", which=0)


def test_untagged_slab_is_tagged() -> None:
    bare = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=6.0, periodic=True)
    bare.set_tags(None)
    assert not bare.has("tags")
    assert add_adsorbate(bare, "H").get_tags().tolist() == [1] * 12 + [2]


def test_wrong_arguments_refuses(slab: Atoms) -> None:
    with pytest.raises(ValueError, match="`which` is 2 but the slab has 2 hollow sites"):
        add_adsorbate(slab, "O", "hollow", which=2)
    with pytest.raises(
        ValueError, match="`site` is 'top' but must be one of ontop, bridge, hollow"
    ):
        add_adsorbate(slab, "O", "top")
    with pytest.raises(ValueError, match="`molecule` is 'XYZ' but ASE has none of that name"):
        add_adsorbate(slab, "XYZ")
    with pytest.raises(ValueError, match="`anchor` is 2 but must be from 0 to 1"):
        add_adsorbate(slab, "CO", anchor=2)
