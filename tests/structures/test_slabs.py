import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc110, bulk, fcc100, fcc111, fcc211
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from pymatgen.analysis.structure_matcher import StructureMatcher

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface import heights, layers, vacuum
from finetuna_flows.structures.validate import check_structure

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning:spglib")


def coordination(atoms: Atoms, cutoff: float) -> list[int]:
    return sorted(np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms)).tolist())


@pytest.mark.parametrize(
    ("element", "miller", "a", "reference"),
    [
        ("Cu", (1, 1, 1), 3.865, fcc111("Cu", (2, 2, 4), a=3.865, vacuum=7.5)),
        ("Cu", (1, 0, 0), 3.6, fcc100("Cu", (2, 2, 4), a=3.6, vacuum=7.5)),
        ("Fe", (1, 1, 0), 2.87, bcc110("Fe", (2, 2, 4), a=2.87, vacuum=7.5)),
        ("Pt", (2, 1, 1), 4.0, fcc211("Pt", (3, 4, 4), a=4.0, vacuum=7.5)),
    ],
)
def test_metal_surfaces_are_those_of_ase(
    element: str, miller: tuple[int, int, int], a: float, reference: Atoms
) -> None:
    n_layers = int(layers(heights(reference)).max()) + 1
    slab = build_slab(element, miller, lattice_constant=a, n_layers=n_layers)
    assert np.unique(heights(slab).round(6)) == pytest.approx(
        np.unique(heights(reference).round(6))
    )
    per_atom = len(reference) // len(slab)
    for cutoff in (0.8 * a, 1.1 * a):
        expected = coordination(reference, cutoff)[::per_atom]
        assert coordination(slab, cutoff) == expected
    area = slab.cell.volume / slab.cell[2, 2]
    assert area * per_atom == pytest.approx(np.linalg.det(np.asarray(reference.cell)[:2, :2]))


@pytest.mark.parametrize("n_layers", [1, 3, 5])
def test_element_has_exactly_the_layers_asked_for(n_layers: int) -> None:
    slab = build_slab("Al", (1, 1, 0), n_layers=n_layers, supercell=(1, 3), fixed_layers=0)
    assert layers(heights(slab)).max() + 1 == n_layers
    assert len(slab) == 3 * n_layers


def test_slab_stands_upright_in_the_middle_of_its_vacuum() -> None:
    slab = build_slab("Cu", (2, 1, 1), vacuum=11.0)
    cell = np.asarray(slab.cell)
    assert cell[:2, 2] == pytest.approx(0.0)
    assert cell[2, :2] == pytest.approx(0.0)
    assert cell[0, 1] == pytest.approx(0.0)
    assert np.linalg.det(cell) > 0
    assert slab.pbc.all()
    assert vacuum(slab) == pytest.approx(11.0)
    z = slab.positions[:, 2]
    assert z.min() == pytest.approx(cell[2, 2] - z.max())
    check_structure(slab)


def test_bottom_is_fixed_and_tags_say_so() -> None:
    slab = build_slab("Ag", n_layers=4, fixed_layers=3)
    fixed = ~free_components(slab).any(axis=1)
    assert (fixed == (layers(heights(slab)) < 3)).all()
    assert (slab.get_tags() == np.where(fixed, 0, 1)).all()


@pytest.mark.parametrize(
    ("name", "kind", "a", "miller"),
    [("MgO", "rocksalt", 4.21, (1, 0, 0)), ("CsCl", "cesiumchloride", 4.12, (1, 1, 0))],
)
def test_compound_keeps_its_formula(
    name: str, kind: str, a: float, miller: tuple[int, int, int]
) -> None:
    slab = build_slab(name, miller, crystal=kind, lattice_constant=a, n_layers=3)
    assert slab.symbols.formula.reduce()[0].count() == Atoms(name).symbols.formula.count()
    assert layers(heights(slab)).max() + 1 >= 3


def test_surface_oxygens_of_magnesia_have_five_neighbours() -> None:
    slab = build_slab("MgO", (1, 0, 0), crystal="rocksalt", lattice_constant=4.21, n_layers=4)
    assert coordination(slab, 2.3) == [5] * 16 + [6] * 16


def test_alloy_from_its_primitive_or_conventional_cell_is_the_same() -> None:
    cu3au = crystal(
        ["Au", "Cu"], [(0, 0, 0), (0.5, 0.5, 0)], spacegroup=221, cellpar=[3.75] * 3 + [90] * 3
    )
    from_atoms = build_slab(cu3au, (1, 1, 1), supercell=(1, 1))
    from_structure = build_slab(to_structure(cu3au.repeat((1, 1, 2))), (1, 1, 1), supercell=(1, 1))
    assert from_atoms.symbols.formula.count() == {"Cu": 12, "Au": 4}
    matcher = StructureMatcher(primitive_cell=False, scale=False)
    assert matcher.fit(to_structure(from_atoms), to_structure(from_structure))
    assert coordination(from_atoms, 2.8) == [9] * 8 + [12] * 8


def test_terminations_differ() -> None:
    zincblende = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    tops = {
        (slab := build_slab(zincblende, (1, 1, 1), termination=index)).symbols[-1]
        for index in (0, 1)
    }
    assert len(slab) > 0
    assert tops <= {"Zn", "S"}
    with pytest.raises(ValueError, match=r"`termination` is 9 but ZnS \(1, 1, 1\) has \d"):
        build_slab(zincblende, (1, 1, 1), termination=9)


def test_wrong_arguments_refuses() -> None:
    with pytest.raises(ValueError, match="`n_layers` is 0 but must be at least 1"):
        build_slab("Cu", n_layers=0)
    with pytest.raises(ValueError, match=r"`supercell` is \(0, 1\)"):
        build_slab("Cu", supercell=(0, 1))
    with pytest.raises(ValueError, match="`bulk` is 'MgO' but ASE's table has no simple crystal"):
        build_slab("MgO")
    with pytest.raises(ValueError, match=r"`lattice_constant` is 3.6 .* brings its own"):
        build_slab(bulk("Cu"), lattice_constant=3.6)
    with pytest.raises(StructureError, match="`n_layers` is 5 but the slab has 4"):
        build_slab("Cu", fixed_layers=5)
