import gzip
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixedLine, FixedPlane, FixScaled
from pymatgen.core.structure import Structure
from pymatgen.io.vasp.inputs import Poscar

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.convert import to_portable, to_structure
from finetuna_flows.structures.read import parse_source, read_structure


@pytest.fixture
def slab() -> Atoms:
    atoms: Atoms = fcc111("Cu", (2, 1, 3), a=3.6, vacuum=6.0, periodic=True)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.info.clear()  # ASE cannot write what its own builder puts there
    return atoms


@pytest.mark.parametrize(
    "name", ["a.extxyz", "a.traj", "POSCAR", "a.vasp", "a.json", "a.cif", "a.xyz.gz"]
)
def test_files_of_many_formats(tmp_path: Path, slab: Atoms, name: str) -> None:
    ase.io.write(tmp_path / name, slab)
    atoms = read_structure(tmp_path / name)
    assert atoms.get_chemical_symbols() == slab.get_chemical_symbols()
    # relative to the first atom and the cell: a CIF has neither orientation nor constraints
    assert atoms.get_all_distances(mic=True) == pytest.approx(
        slab.get_all_distances(mic=True), abs=1e-4
    )
    if not name.endswith("cif"):
        assert (free_components(atoms) == free_components(slab)).all()


def test_tags_and_moves_of_extended_xyz(tmp_path: Path, slab: Atoms) -> None:
    slab.set_tags([0, 0, 1, 1, 2, 2])
    ase.io.write(tmp_path / "a.xyz", slab, format="extxyz")
    atoms = read_structure(tmp_path / "a.xyz")
    assert atoms.get_tags().tolist() == [0, 0, 1, 1, 2, 2]
    assert (free_components(atoms) == free_components(slab)).all()


def test_partial_selective_dynamics_of_a_poscar_are_cartesian(tmp_path: Path, slab: Atoms) -> None:
    slab.set_constraint([FixAtoms([0, 1]), FixScaled([2], (True, True, False))])
    ase.io.write(tmp_path / "POSCAR", slab)
    by_ase = read_structure(tmp_path / "POSCAR")
    by_pymatgen = read_structure(
        Poscar.from_file(tmp_path / "POSCAR", check_for_potcar=False).structure
    )
    assert free_components(by_ase)[2].tolist() == [False, False, True]
    assert (free_components(by_ase) == free_components(by_pymatgen)).all()


def test_trajectory_packed_whole(tmp_path: Path, slab: Atoms) -> None:
    ase.io.write(tmp_path / "a.extxyz.gz", [slab, slab[:4]], format="extxyz")
    assert len(read_structure(tmp_path / "a.extxyz.gz", 1)) == 4


def test_calculator_is_left_behind(tmp_path: Path, slab: Atoms) -> None:
    slab.calc = SinglePointCalculator(slab, energy=1.0, forces=np.zeros((6, 3)))
    ase.io.write(tmp_path / "a.traj", slab)
    assert read_structure(tmp_path / "a.traj").calc is None
    assert read_structure(slab).calc is None
    assert slab.calc is not None


def test_atoms_and_structures_are_copied(slab: Atoms) -> None:
    atoms = read_structure(slab)
    atoms.positions += 1.0
    assert not np.allclose(atoms.positions, slab.positions)
    assert len(read_structure(to_structure(slab))) == 6


@pytest.mark.parametrize(
    "wrap", [lambda d: d, lambda d: {"structure": d}, lambda d: {"data": [{"structure": d}]}]
)
@pytest.mark.parametrize("packed", [False, True])
def test_materials_project_json(tmp_path: Path, slab: Atoms, wrap: object, packed: bool) -> None:
    assert callable(wrap)
    text = json.dumps(wrap(to_structure(slab).as_dict()))
    path = tmp_path / ("mp-30.json.gz" if packed else "mp-30.json")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    atoms = read_structure(path)
    assert atoms.positions == pytest.approx(slab.positions)
    assert (free_components(atoms) == free_components(slab)).all()


def test_portable_molecule_comes_back_from_json(tmp_path: Path) -> None:
    path = tmp_path / "water.json"
    portable = to_portable(molecule("H2O"))
    path.write_text(json.dumps(portable.as_dict()))
    assert read_structure(path).positions == pytest.approx(molecule("H2O").positions)


@pytest.mark.parametrize(("index", "expected"), [(0, "H"), (1, "CO"), (-1, "H2O")])
def test_index_chooses(tmp_path: Path, index: int, expected: str) -> None:
    path = tmp_path / "three.xyz"
    ase.io.write(path, [Atoms("H"), molecule("CO"), molecule("H2O")], format="extxyz")
    by_argument = read_structure(path, index)
    by_name = read_structure(f"{path}@{index}")
    assert by_argument == by_name
    assert by_argument.get_chemical_formula() == Atoms(expected).get_chemical_formula()


def test_several_structures_refuses(tmp_path: Path) -> None:
    path = tmp_path / "two.xyz"
    ase.io.write(path, [Atoms("H"), Atoms("H")])
    with pytest.raises(StructureError, match=r"holds 2 structures but one is needed; .*two.xyz@0"):
        read_structure(path)
    with pytest.raises(StructureError, match=r"index is 2 but .* holds 2 structures"):
        read_structure(path, 2)


def test_several_documents_refuses(tmp_path: Path, slab: Atoms) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps([{"structure": to_structure(slab).as_dict()}] * 3))
    with pytest.raises(StructureError, match="holds 3 structures but one is needed"):
        read_structure(path)
    assert len(read_structure(path, 2)) == 6


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("a.xyz", "2\n\nH 0 0 zero\n", "a.xyz cannot be read as a structure: ValueError|XYZError"),
        ("a.json", "{", "a.json cannot be read as a structure: JSONDecodeError"),
        ("a.json", '{"structure": {"lattice": 1}}', "a.json cannot be read as a structure"),
        ("POSCAR", "nothing\n", "POSCAR cannot be read as a structure"),
        ("a.nonsense", "what is this", "a.nonsense cannot be read as a structure: UnknownFileType"),
        ("empty.xyz", "", "empty.xyz"),
    ],
)
def test_unreadable_file_refuses(tmp_path: Path, name: str, text: str, cause: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(StructureError, match=cause):
        read_structure(tmp_path / name)


def test_missing_file_refuses(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match="POSCAR is not a file"):
        read_structure(tmp_path / "POSCAR")


def test_disordered_cif_refuses(tmp_path: Path) -> None:
    structure = Structure(np.eye(3) * 3.8, [{"Cu": 0.25, "Au": 0.75}], [[0, 0, 0]])
    structure.to(str(tmp_path / "a.cif"))
    with pytest.raises(StructureError, match=r"site 0: 0.25 Cu, 0.75 Au|site 0: 0.75 Au, 0.25 Cu"):
        read_structure(tmp_path / "a.cif")


def test_parse_source(tmp_path: Path) -> None:
    assert parse_source("a/run.traj@3") == (Path("a/run.traj"), 3)
    assert parse_source("a/run.traj@-1") == (Path("a/run.traj"), -1)
    assert parse_source("user@host/POSCAR") == (Path("user@host/POSCAR"), None)
    literal = tmp_path / "POSCAR@2"
    literal.touch()
    assert parse_source(str(literal)) == (literal, None)


@pytest.mark.parametrize("name", ["a.traj", "a.json", "a.db", "POSCAR"])
def test_lines_and_planes_along_axes_survive_a_file(tmp_path: Path, slab: Atoms, name: str) -> None:
    slab.set_constraint([FixAtoms([0]), FixedLine([1], (0, 0, 1)), FixedPlane([2, 3], (0, 0, -1))])
    ase.io.write(tmp_path / name, slab)
    expected = [[False] * 3, [False, False, True], *[[True, True, False]] * 2, *[[True] * 3] * 2]
    atoms = read_structure(tmp_path / name)
    assert free_components(atoms).tolist() == expected
    structure = to_structure(atoms)
    assert structure.site_properties["selective_dynamics"] == expected
    ase.io.write(tmp_path / "again.extxyz", atoms)
    assert free_components(read_structure(tmp_path / "again.extxyz")).tolist() == expected


def test_a_line_along_no_axis_refuses(tmp_path: Path, slab: Atoms) -> None:
    slab.set_constraint(FixedLine([1], (1, 1, 0)))
    ase.io.write(tmp_path / "a.traj", slab)
    with pytest.raises(StructureError, match=r"a\.traj: constraint FixedLine of atom 1 .* must be"):
        read_structure(tmp_path / "a.traj")
