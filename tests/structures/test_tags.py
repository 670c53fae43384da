"""Tags of builders do not pass for OC20's, and what is tagged 2 must look like an adsorbate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import (
    add_adsorbate,
    bcc110,
    bcc111,
    bulk,
    diamond100,
    fcc100,
    fcc110,
    fcc111,
    fcc211,
    graphene,
    hcp0001,
    hcp10m10,
    molecule,
    surface,
)
from pymatgen.core.surface import SlabGenerator

from finetuna_flows.reasons import Integrity
from finetuna_flows.structures import adsorbates
from finetuna_flows.structures.connectivity import integrity
from finetuna_flows.structures.convert import to_atoms, to_structure
from finetuna_flows.structures.inferred import inferred
from finetuna_flows.structures.prepare import Preparation, fix_bottom_layers, tag_atoms
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface import heights, layers
from finetuna_flows.structures.tags import ADSORBATE_FROM, NAMED, find_adsorbate, tagged_adsorbate

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")

Builder = Callable[[int, int], Atoms]
ASE_BUILDERS: dict[str, Builder] = {
    "fcc111": lambda n, size: fcc111("Cu", (size, size, n), vacuum=6.0),
    "fcc100": lambda n, size: fcc100("Pt", (size, size, n), vacuum=6.0),
    "fcc110": lambda n, size: fcc110("Al", (size, size, n), vacuum=6.0),
    "fcc211": lambda n, size: fcc211("Cu", (3, size, n), vacuum=6.0),
    "bcc110": lambda n, size: bcc110("Fe", (size, size, n), vacuum=6.0),
    "bcc111": lambda n, size: bcc111("Fe", (size, size, n), vacuum=6.0),
    "hcp0001": lambda n, size: hcp0001("Ti", (size, size, n), vacuum=6.0),
    "hcp10m10": lambda n, size: hcp10m10("Ti", (size, 2, n), vacuum=6.0),
    "diamond100": lambda n, size: diamond100("Si", (size, size, n), vacuum=6.0),
    "general": lambda n, size: surface("Cu", (3, 2, 1), n, vacuum=6.0).repeat((size, size, 1)),
}


def variants(slab: Atoms) -> Iterator[Atoms]:
    """As built; periodic; with one and with half of its layers fixed."""
    yield slab
    thrice = slab.copy()
    thrice.pbc = True
    yield thrice
    for count in (1, (int(layers(heights(slab, 2)).max()) + 1) // 2):
        yield fix_bottom_layers(thrice, count)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ASE_BUILDERS)
def test_layers_of_ase_are_no_adsorbate(name: str, n_layers: int, size: int) -> None:
    slab = ASE_BUILDERS[name](n_layers, size)
    for bare in variants(slab):
        assert tagged_adsorbate(bare) == []
        covered = bare.copy()
        top = covered.positions[np.argmax(covered.positions[:, 2])]
        add_adsorbate(covered, molecule("CO"), 2.0, position=top[:2])
        constrained = bare.constraints
        covered.set_constraint(constrained)
        assert tagged_adsorbate(covered) == []
        assert integrity(covered, covered) is Integrity.NO_ADSORBATE
        named = tag_atoms(covered, range(len(bare), len(covered)))
        assert tagged_adsorbate(named) == [len(bare), len(bare) + 1]


def test_other_counts_of_layers_are_no_adsorbate() -> None:
    for n_layers in (2, 3, 4, 5):
        slab = fcc111("Pd", (2, 2, n_layers), vacuum=6.0)
        number = layers(heights(slab))
        for counted in (number, number + 1, number.max() - number, n_layers - number):
            slab.set_tags(counted)
            assert tagged_adsorbate(slab) == []


def test_layers_of_compounds_are_no_adsorbate() -> None:
    magnesia = build_slab("MgO", (1, 0, 0), crystal="rocksalt", lattice_constant=4.21, n_layers=3)
    polar = build_slab("MgO", (1, 1, 1), crystal="rocksalt", lattice_constant=4.21, n_layers=2)
    alloy = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    alloy.symbols[:4] = "Pt"
    doped = diamond100("Si", (2, 2, 2), vacuum=6.0)
    doped.symbols[7] = "P"
    germanium = diamond100("Si", (2, 2, 2), vacuum=6.0)
    germanium.symbols[4:] = "Ge"
    for slab in (magnesia, polar, doped, germanium, alloy):
        number = layers(heights(slab))
        for counted in (number, number.max() - number, number + 1, number.max() - number + 1):
            slab.set_tags(counted)
            assert tagged_adsorbate(slab) == [], slab.symbols
    assert alloy.symbols[alloy.get_tags() == 2].get_chemical_formula() == "Pt4"
    assert "Pt4 (atoms 0, 1, 2, 3) tagged 2 is metal bonded" in find_adsorbate(alloy).reason


def test_slabs_of_pymatgen_have_no_adsorbate() -> None:
    crystal = to_structure(bulk("Ni", cubic=True))
    made = SlabGenerator(crystal, (1, 1, 1), 6.0, 12.0).get_slabs()
    assert [find_adsorbate(to_atoms(each)).reason for each in made] == ["no atom has the tag 2"]


@pytest.mark.parametrize("miller", [(1, 1, 1), (1, 0, 0), (1, 1, 0), (2, 1, 1)])
def test_what_our_builder_adds_is_an_adsorbate(miller: tuple[int, int, int]) -> None:
    slab = build_slab("Cu", miller, n_layers=4)
    sites: tuple[str, ...] = ("ontop", "hollow")
    for guest, site in product(("CO", "CH3", "Cu"), sites):
        covered = adsorbates.add_adsorbate(slab, guest, site, height=2.2)
        added = list(range(len(slab), len(covered)))
        assert tagged_adsorbate(covered) == added
        del covered.info[ADSORBATE_FROM]
        found = find_adsorbate(covered)
        assert list(found.indices) == added
        assert found.reason == "tagged 2"


def test_our_builder_takes_slabs_with_counted_layers() -> None:
    for n_layers in (2, 3, 4):
        slab = fix_bottom_layers(fcc111("Cu", (2, 2, n_layers), vacuum=6.0), 1)
        covered = adsorbates.add_adsorbate(slab, "O", "hollow")
        expected = [0] * 4 + [1] * 4 * (n_layers - 1) + [2]
        assert covered.get_tags().tolist() == expected
        assert covered.positions[-1, 2] > slab.positions[:, 2].max()


def with_oc20_tags(slab: Atoms, guest: Atoms) -> Atoms:
    """The bottom half fixed and tagged 0, the rest 1, what is added 2."""
    fixed = tag_atoms(fix_bottom_layers(slab, (int(layers(heights(slab)).max()) + 1) // 2), [])
    del fixed.info[ADSORBATE_FROM]
    guest.set_tags(2)
    joined: Atoms = fixed + guest
    return joined


def above(slab: Atoms, index: int, height: float) -> np.ndarray:
    place: np.ndarray = slab.positions[index] + np.array([0.0, 0.0, height])
    return place


def test_adsorbates_of_many_kinds_are_seen() -> None:
    slab = fcc111("Cu", (2, 2, 4), a=3.6, vacuum=8.0, periodic=True)
    guests = {
        "adatom": Atoms("Cu", positions=[above(slab, -1, 2.2)]),
        "dimer": Atoms("Cu2", positions=[above(slab, -1, 2.2), above(slab, -2, 2.2)]),
        "layer of oxygen": Atoms(
            "O4", positions=[above(slab, index, 1.9) for index in range(-4, 0)]
        ),
        "far above": Atoms("N2", positions=[above(slab, -1, 5.5), above(slab, -1, 6.6)]),
        "gold": Atoms("Au", positions=[above(slab, -1, 2.4)]),
    }
    for name, guest in guests.items():
        covered = with_oc20_tags(slab, guest)
        expected = list(range(len(slab), len(covered)))
        assert tagged_adsorbate(covered) == expected, name
        upside_down = covered.copy()
        upside_down.set_constraint()
        upside_down.positions *= (1, 1, -1)
        assert tagged_adsorbate(upside_down) == expected, name


def test_oxygen_on_an_oxide_and_a_sheet_of_carbon_are_adsorbates() -> None:
    magnesia = build_slab("MgO", (1, 0, 0), crystal="rocksalt", lattice_constant=4.21, n_layers=4)
    top = int(np.argmax(magnesia.positions[:, 2]))
    for symbols, places in {"O": [1.9], "O2": [1.9, 3.2], "MgO": [2.1, 4.0]}.items():
        guest = Atoms(symbols, positions=[above(magnesia, top, each) for each in places])
        assert len(tagged_adsorbate(with_oc20_tags(magnesia, guest))) == len(guest)
    nickel = fcc111("Ni", (2, 2, 3), vacuum=8.0, periodic=True)
    sheet = graphene(size=(2, 2, 1))
    sheet.set_cell(nickel.cell, scale_atoms=False)
    sheet.positions[:, 2] = nickel.positions[:, 2].max() + 2.1
    assert len(tagged_adsorbate(with_oc20_tags(nickel, sheet))) == 8


@pytest.mark.parametrize("depth", [-0.6, -1.05, -1.6])
@pytest.mark.parametrize("place", ["fcc", "hcp"])
def test_what_lies_within_the_slab_is_no_adsorbate_unless_named(place: str, depth: float) -> None:
    slab = fcc111("Pd", (2, 2, 4), vacuum=8.0, periodic=True)
    covered = slab.copy()
    add_adsorbate(covered, "H", depth, place)
    covered.set_tags([1] * len(slab) + [2])
    assert find_adsorbate(covered).reason == "H (atom 16) tagged 2 lies within the slab"
    named = tag_atoms(covered, [16])
    assert tagged_adsorbate(named) == [16]
    assert "named as such, although H (atom 16)" in find_adsorbate(named).sentence(named)


def test_a_named_adsorbate_stays_named_on_every_way() -> None:
    slab = fcc111("Pd", (2, 2, 3), vacuum=8.0, periodic=True)
    named = tag_atoms(slab, [4])  # within the slab
    for again in (named[::-1], to_atoms(to_structure(named)), tag_atoms(named)):
        assert again.info[ADSORBATE_FROM] == NAMED
        assert len(tagged_adsorbate(again)) == 1
    prepared = Preparation(adsorbate=(4,), fixed_layers=1).apply(slab)
    assert tagged_adsorbate(prepared) == [4]
    assert "none is named" in inferred(tag_atoms(slab, []))[0]


def test_the_reason_survives_new_tags() -> None:
    slab = fcc111("Cu", (2, 2, 2), vacuum=8.0, periodic=True)
    add_adsorbate(slab, "O", 1.2, "fcc")
    prepared = Preparation(fixed_layers=1).apply(slab)
    assert set(prepared.get_tags().tolist()) == {0, 1}
    assert inferred(prepared)[0].startswith("no adsorbate is assumed: Cu4 (atoms 0, 1, 2, 3)")


def test_the_likely_adsorbate_of_ase_is_offered() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    assert find_adsorbate(slab).hint == ()
    add_adsorbate(slab, molecule("OH"), 1.4, "fcc")
    assert inferred(slab)[0] == (
        "no adsorbate is assumed: the tags from 0 to 3 are not OC20's but count layers; perhaps "
        "it is HO (atoms 12, 13)"
    )


def test_a_molecule_alone_is_its_own_adsorbate() -> None:
    alone = molecule("H2O")
    alone.set_tags(2)
    assert tagged_adsorbate(alone) == [0, 1, 2]
    metal = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    metal.set_tags(2)
    assert tagged_adsorbate(metal) == []
