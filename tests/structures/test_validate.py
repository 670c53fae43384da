import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.collections import g2
from ase.constraints import FixAtoms, FixCartesian, FixedPlane
from ase.data import chemical_symbols

from finetuna_flows.errors import ElementError, StructureError
from finetuna_flows.structures.validate import abbreviate, check_elements, check_structure

EMT = frozenset({"Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt", "C", "N", "O", "H"})


def test_ordinary_structures_pass() -> None:
    check_structure(fcc111("Cu", (1, 1, 3), a=3.6))
    check_structure(bulk("Cu"))
    check_structure(Atoms("H"))


@pytest.mark.parametrize("name", g2.names)
def test_molecules_of_the_g2_set_pass(name: str) -> None:
    check_structure(molecule(name))


def test_no_atoms_refuses() -> None:
    with pytest.raises(StructureError, match="has no atoms but needs at least one"):
        check_structure(Atoms())


def test_dummy_atom_refuses() -> None:
    with pytest.raises(StructureError, match=r"atom 1 is X \(1 of 2\) but must be a chemical"):
        check_structure(Atoms("CX", positions=[(0, 0, 0), (0, 0, 3)]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_infinite_coordinates_refuses(value: float) -> None:
    atoms = molecule("CO")
    atoms.positions[1, 2] = value
    with pytest.raises(StructureError, match=rf"atom 1 \(C\) is at .*{value}.* must be finite"):
        check_structure(atoms)


def test_infinite_cell_refuses() -> None:
    with pytest.raises(StructureError, match=r"the cell is .*nan.* but must be finite"):
        check_structure(Atoms("H", cell=[1, np.nan, 1], pbc=True))


@pytest.mark.parametrize("cell", [None, (5, 5, 0), [[5, 0, 0], [0, 5, 0], [5, 5, 0]]])
def test_cell_without_volume_refuses(cell: object) -> None:
    with pytest.raises(StructureError, match="span no volume"):
        check_structure(Atoms("H", cell=cell, pbc=True))


def test_flat_cell_is_fine_where_it_is_not_periodic() -> None:
    check_structure(Atoms("H", cell=(5, 5, 0), pbc=(True, True, False)))


def test_overlap_refuses_across_the_cell() -> None:
    atoms = Atoms("HCO", positions=[(0, 0, 0), (0, 0, 2), (0, 0, 9.6)], cell=[10] * 3, pbc=True)
    with pytest.raises(StructureError, match=r"atom 0 \(H\) and atom 2 \(O\) are 0.400 Å .* 0.485"):
        check_structure(atoms)
    atoms.pbc = False
    check_structure(atoms)


@pytest.mark.parametrize("seed", range(5))
def test_of_pairs_that_overlap_equally_the_first_is_named(seed: int) -> None:
    square = Atoms("H4", [(0, 0, 0), (0.2, 0, 0), (0.2, 0.2, 0), (0, 0.2, 0)])
    square.positions += np.random.default_rng(seed).uniform(-1e-13, 1e-13, (4, 3))
    with pytest.raises(StructureError, match=r"atom 0 \(H\) and atom 1 \(H\) are 0.200 Å"):
        check_structure(square)


def test_overlap_with_its_own_image_refuses() -> None:
    with pytest.raises(StructureError, match=r"atom 0 \(Cu\) and its own periodic image are 1.000"):
        check_structure(Atoms("Cu", cell=(5, 5, 1), pbc=True))


def test_all_fixed_refuses() -> None:
    atoms = molecule("CO")
    atoms.set_constraint(FixAtoms([0, 1]))
    with pytest.raises(StructureError, match="all 2 atoms are fixed"):
        check_structure(atoms)
    atoms.set_constraint([FixAtoms([0]), FixCartesian([1], (True, True, False))])
    check_structure(atoms)


def test_unknown_constraint_refuses() -> None:
    atoms = molecule("CO")
    atoms.set_constraint(FixedPlane([0], (0, 1, 1)))
    with pytest.raises(StructureError, match=r"FixedPlane of atom 0 .* but must be along x"):
        check_structure(atoms)


def test_elements_refuses_with_both_sides_named() -> None:
    with pytest.raises(ElementError) as caught:
        check_elements(
            Atoms("CuInZr"), frozenset({"Cu", "In"}), EMT, surrogate_name="toy", parent_name="EMT"
        )
    message = str(caught.value)
    assert "the surrogate toy lacks Zr (it knows Cu, In)" in message
    assert "the parent EMT lacks Zr, In (it knows H, C-O, Al, Ni, Cu, Pd, Ag, Pt, Au)" in message


def test_elements_refuses_and_says_which_side_is_not_known() -> None:
    with pytest.raises(ElementError, match=r"surrogate X does not say beforehand .* EMT lacks In"):
        check_elements(Atoms("In"), None, EMT, surrogate_name="X", parent_name="EMT")
    with pytest.raises(ElementError, match="the parent EMT lacks none of them"):
        check_elements(Atoms("Cu"), frozenset({"H"}), EMT, surrogate_name="X", parent_name="EMT")


def test_known_elements_pass() -> None:
    check_elements(Atoms("CuO"), None, EMT, surrogate_name="X", parent_name="EMT")
    check_elements(Atoms("Og"), None, None, surrogate_name="X", parent_name="Y")


def test_long_sets_are_short_and_exact() -> None:
    known = frozenset(chemical_symbols[1:95]) - {"Po", "At", "Rn"}
    assert abbreviate(known) == "H-Bi, Fr-Pu"
    assert abbreviate(frozenset()) == "no element"
