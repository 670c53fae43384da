import pytest
from ase import Atoms
from ase.build import bulk, fcc110, fcc111, graphene, molecule, nanotube

from finetuna_flows.structures.networks import periodic_directions


@pytest.mark.parametrize(
    ("atoms", "directions"),
    [
        (molecule("C6H6", vacuum=4.0), 0),
        (Atoms("Au", cell=[12.0, 2.7, 15.0], pbc=True), 1),
        (nanotube(5, 0, length=1, vacuum=4.0), 1),
        (graphene(vacuum=6.0), 2),
        (fcc111("Cu", (1, 1, 1), vacuum=6.0), 2),
        (fcc110("Cu", (2, 2, 1), vacuum=6.0), 2),
        (bulk("Fe"), 3),
        (bulk("NaCl", "rocksalt", a=5.64), 3),
        (Atoms(cell=[3, 3, 3], pbc=True), 0),
    ],
)
def test_directions_are_those_of_the_structure(atoms: Atoms, directions: int) -> None:
    assert periodic_directions(atoms) == directions
    assert periodic_directions(atoms.repeat(2)) == directions


def test_two_sheets_and_a_molecule_count_as_their_largest_network() -> None:
    sheets = graphene(vacuum=6.0) + Atoms("H2", positions=[(0, 0, 2.0), (0, 0, 2.7)])
    assert periodic_directions(sheets) == 2
