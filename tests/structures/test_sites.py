from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate as ase_add
from ase.build import fcc100, fcc111, fcc211, graphene, hcp0001
from ase.spacegroup import crystal
from pymatgen.core.adsorption import AdsorbateSiteFinder

from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.structures.sites import adsorption_sites, sites_called
from finetuna_flows.structures.slabs import build_slab

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")


def names(slab: Atoms) -> list[str]:
    return [site.name for site in adsorption_sites(slab)]


def cu3pt(miller: tuple[int, int, int]) -> Atoms:
    ordered = crystal(
        ["Pt", "Cu"], [(0, 0, 0), (0.5, 0.5, 0)], spacegroup=221, cellpar=[3.7] * 3 + [90] * 3
    )
    return build_slab(ordered, miller, supercell=(1, 1))


CLOSE_PACKED = ["ontop", "bridge", "hcp", "fcc"]
RECTANGLE = ["ontop", "bridge-short", "bridge-long", "hollow"]


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize(
    ("element", "miller", "expected"),
    [
        ("Pt", (1, 1, 1), CLOSE_PACKED),
        ("Al", (1, 1, 1), CLOSE_PACKED),
        ("Ru", (0, 0, 1), CLOSE_PACKED),
        ("Pt", (1, 0, 0), ["ontop", "bridge", "hollow"]),
        ("Fe", (1, 0, 0), ["ontop", "bridge", "hollow"]),
        ("Pt", (1, 1, 0), RECTANGLE),
        ("Fe", (1, 1, 0), RECTANGLE),
    ],
)
def test_names_on_metals(
    element: str, miller: tuple[int, int, int], expected: list[str], n_layers: int
) -> None:
    assert names(build_slab(element, miller, n_layers=n_layers)) == expected


@pytest.mark.parametrize(
    ("slab", "name"),
    [
        (fcc111("Pt", (2, 2, 4), vacuum=7.0, periodic=True), "fcc"),
        (fcc111("Pt", (2, 2, 4), vacuum=7.0, periodic=True), "hcp"),
        (hcp0001("Ru", (2, 2, 4), vacuum=7.0, periodic=True), "fcc"),
        (hcp0001("Ru", (2, 2, 4), vacuum=7.0, periodic=True), "hcp"),
        (fcc100("Pt", (2, 2, 4), vacuum=7.0, periodic=True), "hollow"),
    ],
)
def test_hollows_are_those_that_ase_calls_so(slab: Atoms, name: str) -> None:
    reference = slab.copy()
    ase_add(reference, "H", 1.0, name)
    slab.set_tags(None)
    (site,) = sites_called(adsorption_sites(slab), name)
    off = (np.array(site.position) - reference.positions[-1]) @ np.linalg.inv(slab.cell.array)
    small = off[:2] * 2 - np.round(off[:2] * 2)  # in cells of the surface
    assert small == pytest.approx(0.0, abs=1e-6)


def test_terrace_and_step_of_fcc211() -> None:
    slab = fcc211("Pt", (3, 2, 4), vacuum=7.0)
    slab.pbc = True
    slab.set_tags(None)
    found = adsorption_sites(slab)
    assert Counter(site.kind for site in found) == {"ontop": 3, "bridge": 6, "hollow": 5}
    (step,) = sites_called(found, "hollow")[-1:]
    assert (step.name, step.coordination) == ("hollow", 4)
    assert [site.name for site in found if site.coordination == 3] == [
        "hcp-1",
        "hcp-2",
        "fcc-1",
        "fcc-2",
    ]
    edge, *lower = (site.position[2] for site in sites_called(found, "ontop"))
    assert edge == pytest.approx(slab.positions[:, 2].max())
    assert sorted(lower, reverse=True) == lower


def test_names_on_an_alloy_say_the_elements() -> None:
    assert names(cu3pt((1, 1, 1))) == [
        "ontop-Cu",
        "ontop-Pt",
        "bridge-Cu2-1",
        "bridge-Cu2-2",
        "bridge-CuPt",
        "hcp-Cu2Pt",
        "hcp-Cu3",
        "fcc-Cu2Pt",
        "fcc-Cu3",
    ]
    assert names(cu3pt((1, 0, 0))) == ["ontop-Cu", "ontop-Pt", "bridge-CuPt", "hollow-Cu2Pt2"]


def test_a_ring_of_atoms_is_one_hollow() -> None:
    sheet = graphene(vacuum=7.0)
    sheet.pbc = True
    hollow = adsorption_sites(sheet)[-1]
    assert (hollow.name, hollow.coordination, hollow.equals) == ("hollow", 6, 1)


@pytest.mark.parametrize(
    ("element", "miller"),
    [("Pt", (1, 1, 1)), ("Pt", (1, 0, 0)), ("Ru", (0, 0, 1)), ("Fe", (1, 1, 0)), ("Au", (1, 1, 0))],
)
def test_sites_are_those_of_pymatgen(element: str, miller: tuple[int, int, int]) -> None:
    slab = build_slab(element, miller)
    finder = AdsorbateSiteFinder(to_structure(slab))
    theirs = finder.find_adsorption_sites(distance=0.0)["all"]  # type: ignore[no-untyped-call]
    ours = adsorption_sites(slab)
    assert len(theirs) == len(ours)
    for site in ours:  # equal by symmetry to one of theirs, so that it is dropped
        both = [*theirs, np.array(site.position)]
        left = finder.symm_reduce(both, threshold=1e-2)  # type: ignore[no-untyped-call]
        assert len(left) == len(theirs)


def test_equal_sites_are_counted() -> None:
    found = {site.name: site.equals for site in adsorption_sites(build_slab("Cu"))}
    assert found == {"ontop": 4, "bridge": 12, "hcp": 4, "fcc": 4}


@pytest.mark.parametrize("miller", [(1, 1, 1), (1, 1, 0), (2, 1, 1)])
def test_names_and_surroundings_do_not_depend_on_the_cell(miller: tuple[int, int, int]) -> None:
    small = build_slab("Pd", miller, n_layers=6, supercell=(1, 1))
    large = small.repeat((3, 3, 1))
    turned = small.copy()
    turned.rotate(77, "z", rotate_cell=True)
    turned.translate((0.4, -3.0, 1.0))
    turned = turned[np.random.default_rng(3).permutation(len(turned))]
    expected = [(s.name, s.elements, s.coordination) for s in adsorption_sites(small)]
    for other in (large, turned):
        found = adsorption_sites(other)
        assert [(s.name, s.elements, s.coordination) for s in found] == expected


def test_sites_are_found_whichever_cell_vector_leads_out_of_the_surface() -> None:
    slab = build_slab("Pt", (2, 1, 1))
    expected = adsorption_sites(slab)
    for order in ([1, 2, 0], [2, 0, 1]):
        other = slab.copy()
        other.set_cell(slab.cell.array[order])
        assert adsorption_sites(other) == expected
        covered, reference = (add_adsorbate(each, "CO", "fcc") for each in (other, slab))
        assert (covered.cell.array == other.cell.array).all()
        assert covered.positions == pytest.approx(reference.positions, abs=1e-7)


def test_site_is_the_one_with_the_lowest_fractional_coordinates() -> None:
    slab = build_slab("Cu", lattice_constant=3.6)
    for site in adsorption_sites(slab):
        fractions = (np.array(site.position) @ np.linalg.inv(slab.cell.array))[:2]
        assert (fractions >= -1e-9).all()
        assert (fractions < 0.5).all()  # of a cell of 2 x 2


def test_noise_of_the_last_bits_changes_no_site() -> None:
    slab = build_slab("Pt", (2, 1, 1))
    noisy = slab.copy()
    noisy.positions += np.random.default_rng(2).uniform(-1e-12, 1e-12, slab.positions.shape)
    assert adsorption_sites(noisy) == adsorption_sites(slab)


def test_first_hollow_is_hcp() -> None:
    slab = build_slab("Ag", n_layers=3)
    by_kind, by_name = add_adsorbate(slab, "O", "hollow"), add_adsorbate(slab, "O", "hcp")
    assert (by_kind.positions == by_name.positions).all()
    second = add_adsorbate(slab, "O", "hollow", which=1)
    assert (second.positions == add_adsorbate(slab, "O", "fcc").positions).all()
    assert (second.positions != by_name.positions).any()


def test_beginning_of_a_name_chooses() -> None:
    slab = cu3pt((1, 1, 1))
    found = adsorption_sites(slab)
    assert [site.name for site in sites_called(found, "hcp")] == ["hcp-Cu2Pt", "hcp-Cu3"]
    assert [site.name for site in sites_called(found, "fcc-Cu3")] == ["fcc-Cu3"]
    assert [site.name for site in sites_called(found, "bridge-Cu2")] == [
        "bridge-Cu2-1",
        "bridge-Cu2-2",
    ]
    assert len(sites_called(found, "hollow")) == 4


def test_unknown_site_refuses_and_lists_the_names() -> None:
    slab = build_slab("Cu", (1, 0, 0))
    with pytest.raises(
        ValueError, match=r"`site` is 'fcc' but must be one of ontop, bridge, hollow$"
    ):
        add_adsorbate(slab, "O", "fcc")
    with pytest.raises(ValueError, match=r"`site` is 'hc' but must .* hollow, hcp, fcc$"):
        add_adsorbate(build_slab("Cu"), "O", "hc")
    with pytest.raises(ValueError, match="`which` is 1 but the slab has 1 fcc sites, from 0: fcc"):
        add_adsorbate(build_slab("Cu"), "O", "fcc", which=1)
