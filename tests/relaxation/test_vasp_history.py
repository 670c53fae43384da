"""Parts of a relaxation under names that do not say where they belong."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import free_components
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.vasp.attempt import NO_WAY_DOWN
from finetuna_flows.relaxation.vasp.files import MOST_FOLDERS
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from tests.relaxation.vasp_runs import date_back, relax
from tests.systems import oxygen_on_copper

RESULTS = ("OUTCAR", "vasprun.xml")
SETTINGS: dict[str, Any] = {"NSW": 4, "EDIFFG": -0.001}


def went_on(atoms: Atoms, folder: Path) -> Atoms:
    """Where a run ended, as it is copied from CONTCAR to POSCAR."""
    end = ase.io.read(folder / "CONTCAR", format="vasp")
    assert isinstance(end, Atoms)
    again: Atoms = atoms.copy()
    again.set_scaled_positions(end.get_scaled_positions(wrap=False)[np.argsort(order(atoms))])
    return again


def order(atoms: Atoms) -> list[int]:
    """The stand-in's input has the atoms of one element together, in the order of their names."""
    return sorted(range(len(atoms)), key=lambda index: (atoms.symbols[index] != "Cu", index))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs that follow one another, each begun a century before the next."""
    place = tmp_path_factory.mktemp("parts")
    atoms, folders = oxygen_on_copper(), []
    for number in range(3):
        folders.append(relax(atoms, place / str(number), **SETTINGS))
        atoms = went_on(atoms, folders[-1])
    date_back(folders[1])
    for _ in range(2):
        age(folders[0])
    return folders


def age(folder: Path) -> None:
    """Let a run have begun a century earlier, and one more the second time."""
    for name, mark in (("OUTCAR", " date "), ("vasprun.xml", '"date" type="string">')):
        text = (folder / name).read_text()
        for later, earlier in (("20", "19"), ("19", "18")):
            if f"{mark}{later}" in text:
                (folder / name).write_text(text.replace(f"{mark}{later}", f"{mark}{earlier}", 1))
                break


@pytest.fixture(scope="module")
def whole(parts: list[Path]) -> list[Relaxation]:
    return [read_vasp_relaxation(each) for each in parts]


def laid(parts: list[Path], place: Path, naming: Callable[[str, int], str]) -> Path:
    """The first two runs under other names, beside the last."""
    place.mkdir()
    for name in (*RESULTS, "POSCAR", "CONTCAR"):
        shutil.copy(parts[2] / name, place)
    for number, part in enumerate(parts[:2], start=1):
        for name in RESULTS:
            target = place / naming(name, number)
            target.parent.mkdir(exist_ok=True)
            content = (part / name).read_bytes()
            packed = gzip.compress(content) if target.suffix == ".gz" else content
            target.write_bytes(packed)
    return place


def after_a_name(sign: str, end: str = "") -> Callable[[str, int], str]:
    return lambda name, number: f"{name}{sign}{number}{end}"


NAMINGS: dict[str, Callable[[str, int], str]] = {
    "OUTCAR.1": after_a_name("."),
    "OUTCAR.1.gz": after_a_name(".", ".gz"),
    "OUTCAR_1": after_a_name("_"),
    "OUTCAR-1": after_a_name("-"),
    "OUTCAR1": after_a_name(""),
    "vasprun.xml.static.1": after_a_name(".static."),
    "OUTCAR.old": lambda name, number: f"{name}.{'old' * number}",
    "OUTCAR.bak": lambda name, number: f"{name}.{'bak'[: number + 1]}",
    "vasprun_1.xml": lambda name, number: re.sub("(?<=run|CAR)", f"_{number}", name, count=1),
    "run1/": lambda name, number: f"run{number}/{name}",
    "run1/ packed": lambda name, number: f"run{number}/{name}.gz",
    "anything/": lambda name, number: f"{'abc'[number]}/{name}",
}  # fmt: skip


@pytest.mark.parametrize("naming", NAMINGS)
def test_parts_that_follow_one_another_are_joined(
    naming: str, parts: list[Path], whole: list[Relaxation], tmp_path: Path
) -> None:
    place = laid(parts, tmp_path / "run", NAMINGS[naming])
    joined = read_vasp_relaxation(place, like=oxygen_on_copper())
    energies = [step.energy for part in whole for step in part.steps]
    assert joined.parent_calls == sum(part.parent_calls for part in whole) == 12
    assert [step.energy for step in joined.steps] == energies
    assert [step.index for step in joined.steps] == list(range(12))
    assert (free_components(joined.start) == free_components(oxygen_on_copper())).all()
    ways = np.diff([step.positions for step in joined.steps], axis=0)
    assert np.abs(ways).max() < 0.5
    assert len(joined.inferred) == 2
    assert all("which begins where it ends" in words for words in joined.inferred)


def test_folders_alone_are_joined(
    parts: list[Path], whole: list[Relaxation], tmp_path: Path
) -> None:
    for number, part in enumerate(parts, start=1):
        shutil.copytree(part, tmp_path / "runs" / f"run{number}")
    joined = read_vasp_relaxation(tmp_path / "runs")
    assert joined.parent_calls == sum(part.parent_calls for part in whole)
    assert joined.energy == whole[-1].energy


def test_an_outcar_alone_gets_the_constraints_of_what_follows(
    parts: list[Path], tmp_path: Path
) -> None:
    place = laid(parts, tmp_path / "run", after_a_name("."))
    for number in (1, 2):
        (place / f"vasprun.xml.{number}").unlink()
    joined = read_vasp_relaxation(place)
    assert joined.parent_calls == 12
    assert not free_components(joined.start).all()


def test_what_lies_there_twice_counts_once(
    parts: list[Path], whole: list[Relaxation], tmp_path: Path
) -> None:
    place = laid(parts, tmp_path / "run", after_a_name("."))
    for name in RESULTS:
        shutil.copy(parts[2] / name, place / f"{name}.bak")
        shutil.copy(parts[0] / name, place / f"{name}_saved")
    shutil.copy(parts[1] / "OUTCAR", place / "OUTCAR-copy")  # of which the vasprun.xml is there
    shutil.copytree(parts[1], place / "again")
    with tarfile.open(place / "error.1.tar.gz", "w:gz") as tar:
        for name in RESULTS:
            tar.add(parts[2] / name, arcname=f"error.1/{name}")
    energies = [step.energy for part in whole for step in part.steps]
    found = [step.energy for step in read_vasp_relaxation(place).steps]
    assert found == pytest.approx(energies, abs=1e-7)  # OUTCAR and vasprun.xml, 8 decimals each


def test_a_longer_copy_stands_for_a_shorter_one(parts: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(parts[2], place)
    (place / "vasprun.xml").unlink()
    text = (place / "OUTCAR").read_text()
    (place / "OUTCAR.bak").write_text(text)
    (place / "OUTCAR").write_text(text[: text.rindex("Iteration")])
    assert read_vasp_relaxation(place).parent_calls == 4


def test_what_does_not_follow_is_named_and_not_read(
    parts: list[Path], whole: list[Relaxation], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = laid([parts[0], parts[0], parts[2]], tmp_path / "run", after_a_name("."))
    relaxation = read_vasp_relaxation(place)
    assert relaxation.parent_calls == whole[2].parent_calls
    (line,) = [each.message for each in caplog.records if "is not read" in each.message]
    assert f"{place}/vasprun.xml.1 with {place}/OUTCAR.1 is not read" in line
    assert "its calls do not count" in line
    assert "Å apart" in line
    assert relaxation.inferred == (line,)


def test_what_began_later_does_not_come_before(
    parts: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "run"
    shutil.copytree(parts[1], place)
    shutil.copytree(parts[0], place / "first")
    for name, mark in (("OUTCAR", " date "), ("vasprun.xml", '"date" type="string">')):
        text = (place / "first" / name).read_text()
        (place / "first" / name).write_text(text.replace(f"{mark}18", f"{mark}29", 1))
    assert read_vasp_relaxation(place).parent_calls == 4
    assert "first is not read, and its calls do not count" in caplog.text
    assert "it did not begin earlier" in caplog.text


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ENCUT": 500}, "their levels of theory differ in 500 eV instead of 350 eV"),
        ({"VENDOR_TAG": 3}, "in VENDOR_TAG=3, which this package does not know"),
        ({"IBRION": -1, "NSW": 0}, r"it has IBRION -1 (one geometry)"),
        ({"IMAGES": 4}, "it has IMAGES 4 (one image of a reaction path)"),
    ],
)
def test_another_kind_of_run_is_named_and_not_read(
    tags: dict[str, Any], words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    atoms = oxygen_on_copper()
    before = relax(atoms, tmp_path / "before", **SETTINGS | tags)
    date_back(before)
    place = relax(went_on(atoms, before), tmp_path / "run", **SETTINGS)
    for name in RESULTS:
        shutil.copy(before / name, place / f"{name}.old")
    assert read_vasp_relaxation(place).parent_calls == 4
    assert words in caplog.text


def test_a_part_that_cannot_be_read_costs_a_line_alone(
    parts: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "run"
    shutil.copytree(parts[2], place)
    (place / "OUTCAR.old").write_text("vasp.6.3.2\n")
    (place / "prev").mkdir()
    (place / "prev" / "OUTCAR.gz").write_bytes(b"not packed")
    (place / "notes").mkdir()
    assert read_vasp_relaxation(place).parent_calls == 4
    assert "OUTCAR.old is not read, and its calls do not count: " in caplog.text
    assert "prev is not read, and its calls do not count: " in caplog.text
    assert "notes" not in caplog.text


def test_many_folders_are_not_looked_into(
    parts: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "run"
    shutil.copytree(parts[2], place)
    for number in range(MOST_FOLDERS + 1):
        (place / f"k{number}").mkdir()
        (place / f"k{number}" / "OUTCAR").write_text("")
    assert read_vasp_relaxation(place).parent_calls == 4
    assert f"none of the {MOST_FOLDERS + 1} folders of VASP's in it is looked into" in caplog.text


def test_parts_alone_that_do_not_follow_one_another_refuse(
    parts: list[Path], tmp_path: Path
) -> None:
    for number in (0, 2):
        shutil.copytree(parts[number], tmp_path / "runs" / f"run{number}")
    with pytest.raises(ValueError, match=r"run0 and .*run2, which do not follow .* name the one"):
        read_vasp_relaxation(tmp_path / "runs")


def test_folders_of_systems_are_no_parts(parts: list[Path], tmp_path: Path) -> None:
    for name in ("O_fcc", "O_hcp"):
        shutil.copytree(parts[0], tmp_path / "campaign" / name)
    with pytest.raises(ValueError, match=r"holds no vasprun\.xml and no OUTCAR"):
        read_vasp_relaxation(tmp_path / "campaign")


def test_nothing_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR.1").write_text("vasp.6.3.2\n")
    with pytest.raises(ParentError, match=r"nothing of .* can be read: .*OUTCAR\.1"):
        read_vasp_relaxation(tmp_path)


def test_a_run_that_came_to_no_label_is_no_end_of_the_one_before(
    parts: list[Path], tmp_path: Path
) -> None:
    place = laid(parts, tmp_path / "run", after_a_name("."))
    for name, mark in (("OUTCAR", "Iteration"), ("vasprun.xml", "<scstep>")):
        text = (place / name).read_text()
        (place / name).write_text(text[: text.index(mark)])
    joined = read_vasp_relaxation(place)
    assert joined.parent_calls == 8
    assert joined.stop_reason is StopReason.NOT_RECORDED


def test_another_optimizer_after_the_first_is_told(parts: list[Path], tmp_path: Path) -> None:
    place = relax(went_on(oxygen_on_copper(), parts[0]), tmp_path / "run", IBRION=3, IOPT=7, NSW=2)
    for name in RESULTS:
        shutil.copy(parts[0] / name, place / f"{name}.1")
    joined = read_vasp_relaxation(place)
    assert joined.parent_calls == 6
    assert joined.method == "VTST FIRE"
    assert "relaxed by VASP CG and then by VTST FIRE" in joined.inferred


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended before NSW and before its threshold, for no reason that it says."""
    folder = relax(
        oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "run", **SETTINGS | {"NSW": 9}
    )
    for name, mark in (("OUTCAR", "LOOP+:"), ("vasprun.xml", "</calculation>")):
        text = (folder / name).read_text()
        cut = mark.join(text.split(mark)[:4]) + mark
        tail = text.rpartition(mark)[2] if name == "OUTCAR" else "\n</modeling>\n"
        (folder / name).write_text(cut + tail)
    return folder


@pytest.fixture
def stuck(ended: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "run"))


def test_an_end_without_a_word_is_not_recorded(stuck: Path) -> None:
    for name in ("", *RESULTS):
        relaxation = read_vasp_relaxation(stuck / name)
        assert relaxation.parent_calls == 4
        assert relaxation.stop_reason is StopReason.NOT_RECORDED


ZBRENT = f" {NO_WAY_DOWN} error in bracketing\n     please rerun with smaller EDIFF\n"
CUSTODIAN = [
    {"corrections": [], "max_errors": False, "nonzero_return_code": False},
    {
        "corrections": [{"errors": ["eddrmm"]}, {"errors": ["zbrent"]}],
        "max_errors": True,
        "max_errors_per_job": False,
        "max_errors_per_handler": False,
    },
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vasp.out", ZBRENT),
        ("vasp.out.gz", ZBRENT),
        ("OUTCAR", ZBRENT),
        ("custodian.json", json.dumps(CUSTODIAN)),
        ("custodian.json.gz", json.dumps(CUSTODIAN)),
    ],
)
def test_no_way_down_is_said_where_it_was_written(name: str, text: str, stuck: Path) -> None:
    before = (stuck / name).read_text() if name == "OUTCAR" else ""
    content = (before + text).encode()
    (stuck / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_vasp_relaxation(stuck).stop_reason is StopReason.OPTIMIZER_GAVE_UP


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"corrections": [{"errors": ["zbrent"]}], "max_errors": False}],
        [{"corrections": [{"errors": ["eddrmm"]}], "max_errors": True}],
        {"no": "list"},
    ],
)
def test_custodians_record_of_something_else_says_nothing(entries: object, stuck: Path) -> None:
    (stuck / "custodian.json").write_text(json.dumps(entries))
    assert read_vasp_relaxation(stuck).stop_reason is StopReason.NOT_RECORDED


def test_a_warning_of_the_line_search_is_no_end(stuck: Path) -> None:
    (stuck / "vasp.out").write_text(" ZBRENT: can't locate minimum, use default step\n")
    assert read_vasp_relaxation(stuck).stop_reason is StopReason.NOT_RECORDED


def test_its_own_looser_threshold_is_another_criterion(tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "run")
    assert read_vasp_relaxation(folder).converged
    strict = read_vasp_relaxation(folder, fmax=1e-4)
    assert strict.stop_reason is StopReason.OTHER_CRITERION
