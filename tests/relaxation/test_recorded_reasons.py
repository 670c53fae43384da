"""Refusals of files of many formats, whole, cut and foreign: the reason is never empty."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import ase.db
import ase.io
import pytest
from ase import Atoms

from finetuna_flows.errors import FinetunaError, StructureError, said_by
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.structures.read import read_structure
from tests.relaxation.recorded_files import relaxed_by_ase, write_database

pytestmark = pytest.mark.filterwarnings("ignore")  # of ASE's readers, on broken files

WRITTEN = {
    "run.traj": "traj",
    "run.extxyz": "extxyz",
    "run.xyz": "xyz",
    "start.cif": "cif",
    "pw.pwi": "espresso-in",
    "run.abi": "abinit-in",
    "run.nwi": "nwchem-in",
    "run.cube": "cube",
    "run.gjf": "gaussian-in",
    "run.xsf": "xsf",
    "run.gen": "gen",
    "POSCAR": "vasp",
    "coord": "turbomole",
}
HEADS = {
    "pw.pwo": "\n     Program PWSCF v.6.7MaX starts on  1Jan2026 at 10: 0: 0\n\n",
    "pw.out": "\n     Program PWSCF v.6.7MaX starts on  1Jan2026 at 10: 0: 0\n\n",
    "pw2.pwo": (
        "     Program PWSCF v.6.7MaX starts\n     bravais-lattice index     =   0\n"
        "     lattice parameter (alat)  =   4.8  a.u.\n     number of atoms/cell      =   9\n"
    ),
    "run.abo": ".Version 9.6.2 of ABINIT\n.(MPI version)\n\n- nproc = 1\n",
    "run.nwo": "     Northwest Computational Chemistry Package (NWChem) 7.0.2\n\n",
    "gpaw.txt": "\n  ___ ___ ___ _ _ _\n |   |   |_  | | | |\n |___|_|\n\nUser: x\n",
    "run.gpw": "- of Ulmgpaw            ",
    "run.aims": "          Invoking FHI-aims ...\n",
    "cp2k.out": " CP2K| version string:                 CP2K version 2023.1\n",
    "run.log": " Entering Gaussian System, Link 0=g16\n",
    "run.castep": " |      CASTEP version 22.11\n",
    "empty.traj": "",
}


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()[:3]


def reasons(path: Path) -> list[str]:
    """All that is said of what cannot be read."""
    try:
        found = list(recordings(path))
    except (FinetunaError, ValueError) as error:
        return [str(error)]
    said = [words for each in found for words in each.damaged]
    return said + [str(each.result) for each in found if isinstance(each.result, Exception)]


def check(said: str, path: Path) -> None:
    """A reason stands behind the name, and nothing ends in it."""
    rest = said.replace(str(path), "").replace(path.name, "").strip(" :;")
    assert len(re.findall(r"[a-z]{2,}", rest)) >= 3, said
    assert not re.search(r":\s*(;|$)", said), said
    assert not re.match(r"^(\S+): \1", said), said
    assert not re.search(rf"{re.escape(path.name)}; so nothing", said), said
    assert not said.rstrip().endswith(path.name), said


def write(frames: list[Atoms], path: Path) -> bytes:
    if path.suffix in (".db", ".json"):
        write_database(frames, path)
    elif path.suffix in (".traj", ".extxyz"):
        ase.io.write(path, frames)
    elif path.suffix == ".pwi":
        potentials = {"Cu": "Cu.upf", "O": "O.upf"}
        ase.io.write(path, frames[0], format=WRITTEN[path.name], pseudopotentials=potentials)
    else:
        ase.io.write(path, frames[0], format=WRITTEN[path.name])
    return path.read_bytes()


@pytest.mark.parametrize("name", [*WRITTEN, "run.db", "run.json"])
def test_every_part_of_a_file_is_read_or_has_a_reason(
    name: str, frames: list[Atoms], tmp_path: Path
) -> None:
    path = tmp_path / name
    data = write(frames, path)
    for part in range(1, 13):
        path.write_bytes(data[: len(data) * part // 12])
        for said in reasons(path):
            check(said, path)


@pytest.mark.parametrize("name", HEADS)
def test_files_of_other_programs_have_a_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(HEADS[name])
    said = reasons(path)
    assert said
    for words in said:
        check(words, path)


@pytest.mark.parametrize("name", ["pw.pwo", "pw.out", "run.nwo", "run.abo", "gpaw.txt", "cp2k.out"])
def test_as_a_structure_they_have_one_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(HEADS[name])
    with pytest.raises(StructureError) as caught:
        read_structure(path)
    check(str(caught.value), path)


def raised(what: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any, to see what is said of it
        what()
    return caught.value


def test_what_is_raised_without_a_word_is_told_by_its_line() -> None:
    def check_nothing() -> None:
        assert not HEADS

    for what, words in (
        (check_nothing, r"AssertionError.* at .*\.py:\d+"),
        (lambda: dict[str, float]()["volume"], r"there is no 'volume' \(KeyError at .*\.py:\d+, `"),
        (lambda: next(iter(())), r"it ends where more is expected"),
        (lambda: int("x"), r"^invalid literal for int\(\) with base 10: 'x'$"),
        (lambda: [0][1], r"list index out of range \(IndexError at .*\.py:\d+, `"),
    ):
        assert re.search(words, said_by(raised(what)))
    assert said_by(ValueError()) == "ValueError"
    assert said_by(ValueError("a\n  b")) == "a b"
