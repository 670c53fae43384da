"""Input files for engines that speak i-PI, written without the engines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import Bohr
from numpy.testing import assert_allclose

from finetuna_flows.colocation.abinit import abinit
from finetuna_flows.colocation.nwchem import nwchem
from finetuna_flows.colocation.template import template

VARIABLES: dict[str, object] = {"ecut": 8, "ngkpt": [2, 2, 2], "shiftk": [[0.0, 0.0, 0.5]]}
PSEUDO = {"H": "01h.pspgth", "O": "08o.pspgth", "Si": "14si.pspgth"}


def written(writer: Any, atoms: Atoms, folder: Path, name: str) -> str:
    writer.directory = folder
    writer.write_input(atoms, ["energy", "forces"], None)
    return (folder / name).read_text()


def numbers(text: str, after: str, count: int) -> list[float]:
    """So many of them behind a word that is alone."""
    _, rest = re.split(rf"^{after}\b", text, maxsplit=1, flags=re.MULTILINE)
    return [float(each) for each in rest.split()[:count]]


def abinit_input(folder: Path, atoms: Atoms, **variables: object) -> str:
    writer = abinit("/p", PSEUDO, {**VARIABLES, **variables})
    return written(writer, atoms, folder, "abinit.in")


def test_abinit_gets_the_structure_in_bohr_unwrapped(tmp_path: Path) -> None:
    water = molecule("H2O", cell=(5, 6, 7), pbc=True)
    water.positions -= [1.0, 0.0, 0.0]
    text = abinit_input(tmp_path, water)
    assert_allclose(numbers(text, "xcart", 9), water.positions.ravel() / Bohr, atol=1e-12)
    assert_allclose(numbers(text, "rprim", 9), water.cell.array.ravel() / Bohr, atol=1e-12)
    assert numbers(text, "typat", 3) == [1, 2, 2]
    assert numbers(text, "znucl", 2) == [8, 1]
    assert 'pseudos "08o.pspgth, 01h.pspgth"' in text
    assert {"nsym 1", "ionmov 28", "ngkpt 2 2 2", "shiftk 0.0 0.0 0.5"} <= set(text.splitlines())
    assert "spinat" not in text


def test_abinit_gets_magnetic_moments(tmp_path: Path) -> None:
    silicon = bulk("Si")
    silicon.set_initial_magnetic_moments([1.0, -2.0])
    text = abinit_input(tmp_path, silicon)
    assert "nsppol 2" in text
    assert numbers(text, "spinat", 6) == [0, 0, 1, 0, 0, -2]
    silicon = bulk("Si")
    silicon.set_initial_magnetic_moments(np.eye(3)[:2])
    text = abinit_input(tmp_path, silicon)
    assert {"nspinor 2", "nspden 4"} <= set(text.splitlines())
    assert numbers(text, "spinat", 6) == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"nsym": 48}, "`variables` has nsym = 48 but a label needs 1"),
        ({"IONMOV": 2}, "has ionmov = 2 but a label needs 28"),
        ({"optcell": 2}, "has optcell = 2 but a label needs 0"),
        ({"xred": [0, 0, 0]}, "has xred, which is written from the structure"),
    ],
)
def test_abinit_refuses_what_contradicts_a_label(variables: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        abinit("/p", PSEUDO, {**VARIABLES, **variables})


def test_abinit_refuses_to_be_without_a_cutoff() -> None:
    with pytest.raises(ValueError, match="lacks ecut, the cutoff of the plane waves in Hartree"):
        abinit("/p", PSEUDO, {})


def test_abinit_refuses_an_element_without_pseudopotential_and_a_structure_without_cell(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="`pseudopotentials` lacks Cu"):
        abinit_input(tmp_path, bulk("Cu"))
    with pytest.raises(ValueError, match="lacks a cell vector but ABINIT wants three"):
        abinit_input(tmp_path, molecule("H2O"))


def test_nwchem_gets_the_frame_of_the_structure_and_the_socket(tmp_path: Path) -> None:
    writer = nwchem("{name}", theory="scf", basis="3-21G", driver={"trust": 0.1})
    text = written(writer, molecule("H2O"), tmp_path, "nwchem.nwi")
    assert "geometry units angstrom nocenter noautosym noautoz" in text
    assert re.search(r"driver\n\s+maxiter 1000000\n\s+trust 0.1\n\s+socket unix {name}\nend", text)
    assert "task scf optimize" in text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"autosym": True}, "`autosym` is True but a label needs False; leave it out"),
        ({"center": True}, "`center` is True but a label needs False"),
        ({"autoz": True}, "`autoz` is True but a label needs False"),
        ({"task": "gradient"}, "`task` is 'gradient' but a label needs 'optimize'"),
        ({"geompar": "nucleus finite AUTOSYM"}, "`geompar` has autosym but a label needs noautos"),
        ({"symmetry": "c2v"}, "`symmetry` is 'c2v', which would be forced on every geometry"),
        ({"driver": {"socket": {"unix": "x"}}}, "`driver` is .* but must be entries without sock"),
    ],
)
def test_nwchem_refuses_what_contradicts_a_label(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nwchem("{name}", theory="scf", **settings)


def test_a_template_is_filled_and_variables_of_the_engine_stay(tmp_path: Path) -> None:
    water = molecule("H2O", cell=(5, 6, 7), pbc=True)
    text = "A {a}\nB {b}\nC {c}\n${a} {d} {name}\n{cell}\n{atoms}\n{positions}\n"
    writer = template({"in": text}, "water.xyz", "extxyz", {"columns": ["symbols", "positions"]})
    lines = written(writer, water, tmp_path, "in").splitlines()
    assert lines[3] == "${a} {d} {name}"
    rows = [[float(each) for each in line.split()[1:]] for line in (*lines[:3], *lines[7:10])]
    assert_allclose(rows[:3], water.cell.array)
    assert_allclose(rows[3:], water.positions, atol=1e-14)
    assert [line.split()[0] for line in lines[7:10]] == ["O", "H", "H"]
    assert_allclose(np.loadtxt(lines[4:7]), water.cell.array)
    assert_allclose(np.loadtxt(lines[10:]), water.positions, atol=1e-14)
    read = ase.io.read(tmp_path / "water.xyz")
    assert isinstance(read, Atoms)
    assert_allclose(read.positions, water.positions, atol=1e-7)


def test_a_template_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="`inputs` is empty but must hold the text"):
        template({})


def test_a_format_of_no_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`format` is 'cif' .* but `structure` names no file"):
        template({"in": ""}, format="cif")
