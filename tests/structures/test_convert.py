import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian, FixedPlane
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.convert import to_atoms, to_portable, to_structure


@pytest.fixture
def slab() -> Atoms:
    atoms: Atoms = fcc111("Cu", (2, 1, 3), a=3.6, vacuum=6.0, periodic=True)
    atoms.set_tags([0, 0, 1, 1, 1, 2])
    atoms.set_initial_magnetic_moments([0.5, -0.5, 0.0, 1.0, 2.0, 3.0])
    atoms.set_constraint([FixAtoms([0, -5]), FixCartesian([2], mask=(False, False, True))])
    atoms.positions[5] += (0.0, 0.0, 25.0)
    return atoms


def assert_same(a: Atoms, b: Atoms) -> None:
    assert a.get_chemical_symbols() == b.get_chemical_symbols()
    assert a.positions == pytest.approx(b.positions, abs=1e-12)
    assert np.asarray(a.cell) == pytest.approx(np.asarray(b.cell), abs=1e-12)
    assert a.pbc.tolist() == b.pbc.tolist()
    assert a.get_tags().tolist() == b.get_tags().tolist()
    moments = (a.get_initial_magnetic_moments(), b.get_initial_magnetic_moments())
    assert moments[0].tolist() == moments[1].tolist()
    assert (free_components(a) == free_components(b)).all()


def test_round_trip_through_pymatgen_and_json(slab: Atoms) -> None:
    encoded = MontyEncoder().encode(to_structure(slab))
    assert_same(to_atoms(MontyDecoder().decode(encoded)), slab)


def test_json_changes_no_bit(slab: Atoms) -> None:
    structure = to_structure(slab)
    here = to_atoms(structure)
    there = to_atoms(MontyDecoder().decode(MontyEncoder().encode(structure)))
    assert (here.positions == there.positions).all()
    assert (np.asarray(here.cell) == np.asarray(there.cell)).all()


def test_info_becomes_plain_properties(slab: Atoms) -> None:
    slab.info = {"sid": 7, "shape": np.array([1.5, 2.0])}
    assert to_structure(slab).properties == {"sid": 7, "shape": [1.5, 2.0]}
    json.dumps(to_structure(slab).as_dict())


def test_partial_periodicity_survives(slab: Atoms) -> None:
    slab.pbc = (True, True, False)
    assert_same(to_atoms(to_structure(slab)), slab)


def test_two_constraints_on_one_atom_both_count(slab: Atoms) -> None:
    slab.set_constraint([FixCartesian([4], (True, True, False)), FixAtoms([4])])
    assert to_structure(slab).site_properties["selective_dynamics"][4] == [False] * 3


def test_site_properties_are_plain_numbers(slab: Atoms) -> None:
    properties = to_structure(slab).site_properties
    assert {type(value) for value in properties["tags"]} == {int}
    assert {type(value) for value in properties["magmom"]} == {float}
    assert {type(flag) for flags in properties["selective_dynamics"] for flag in flags} == {bool}


def test_free_structure_has_no_selective_dynamics(slab: Atoms) -> None:
    slab.set_constraint()
    assert "selective_dynamics" not in to_structure(slab).site_properties


def test_flags_follow_the_lattice_and_not_the_axes() -> None:
    cell = [[0, 0, 5], [3, 0, 0], [1, 3, 0]]
    structure = Structure(cell, ["H"], [[0, 0, 0]])
    structure.add_site_property("selective_dynamics", [[False, True, True]])
    assert free_components(to_atoms(structure)).tolist() == [[True, True, False]]


def test_calculators_stay_behind(slab: Atoms) -> None:
    slab.calc = SinglePointCalculator(slab, energy=1.0, magmoms=np.ones(6))
    structure = to_structure(slab)
    assert "final_magmom" not in structure.site_properties
    assert to_atoms(structure).calc is None
    assert slab.calc is not None


def test_molecule_stays_atoms_and_crosses_json() -> None:
    water = molecule("H2O")
    water.set_constraint(FixAtoms([0]))
    water.set_tags([2, 2, 2])
    water.info["name"] = "water"
    portable = to_portable(water)
    assert isinstance(portable, Atoms)
    again = MontyDecoder().decode(MontyEncoder().encode(portable))
    assert_same(again, water)
    assert again.info == {"name": "water"}


def test_slab_crosses_as_structure(slab: Atoms) -> None:
    assert isinstance(to_portable(slab), Structure)


def test_pymatgen_molecule_becomes_free_atoms() -> None:
    atoms = to_atoms(Molecule(["C", "O"], np.array([[0, 0, 0], [0, 0, 1.13]])))
    assert str(atoms.symbols) == "CO"
    assert not atoms.pbc.any()


def test_incomplete_properties_of_no_meaning_are_dropped() -> None:
    structure = Structure(np.eye(3) * 4, ["Cu", "Cu"], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    structure.add_site_property("surface_properties", ["surface", None])
    structure.add_site_property("magmom", [None, None])
    atoms = to_atoms(structure)
    assert set(atoms.arrays) == {"numbers", "positions"}


@pytest.mark.parametrize(
    ("name", "values"),
    [("tags", [1, None]), ("magmom", [None, 1.0]), ("selective_dynamics", [[True] * 3, None])],
)
def test_incomplete_properties_refuses(name: str, values: list[object]) -> None:
    structure = Structure(np.eye(3) * 4, ["Cu", "Cu"], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    structure.add_site_property(name, values)
    with pytest.raises(StructureError, match=rf"`{name}` is missing on site \d \(1 of 2\)"):
        to_atoms(structure)


def test_disorder_refuses() -> None:
    structure = Structure(np.eye(3) * 3, [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    with pytest.raises(StructureError, match="partly occupied sites"):
        to_atoms(structure)


def test_flat_cell_refuses() -> None:
    with pytest.raises(StructureError, match="has 0 independent vectors but pymatgen needs 3"):
        to_structure(molecule("H2O"))


def test_unknown_constraint_refuses(slab: Atoms) -> None:
    slab.set_constraint(FixedPlane([0], (0, 1, 1)))
    with pytest.raises(StructureError, match=r"FixedPlane of atom 0 .* but must be along x"):
        to_structure(slab)
