"""What structures are called, after their files and directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetuna_flows.structures.names import name_of


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("O_0.25ML.vasp", "O_0.25ML"),
        ("O_0.25ML.vasp.gz", "O_0.25ML"),
        ("O_0.25ML", "O_0.25ML"),
        ("O_0.25ML.extxyz.bz2", "O_0.25ML"),
        ("a.b.c.traj", "a.b.c"),
        ("Pt3.97.cif", "Pt3.97"),
        ("x_0.34", "x_0.34"),
        ("run.traj", "run"),
        ("set.db", "set"),
        ("x.pwo", "x"),
        ("O_0.5ML.pwi.xz", "O_0.5ML"),
        ("gpaw_0.5.txt", "gpaw_0.5"),
        ("POSCAR_O_0.25ML", "O_0.25ML"),
        ("OUTCAR.O_0.25ML.gz", "O_0.25ML"),
        ("vasprun_O_0.25ML.xml", "O_0.25ML"),
        ("O_0.25ML.vasprun.xml.gz", "O_0.25ML"),
        ("O_0.25ML_CONTCAR", "O_0.25ML"),
        ("O_0.25ML.POSCAR", "O_0.25ML"),
        ("POSCAR_1", "POSCAR_1"),
        ("CONTCAR.2", "CONTCAR.2"),
        ("POSCAR", "here"),
        ("POSCAR.gz", "here"),
        ("POSCAR.orig", "here"),
        ("POSCAR.vasp", "here"),
        ("CONTCAR.relax1.gz", "here"),
        ("OUTCAR", "here"),
        ("OUTCAR.relax2.bz2", "here"),
        ("OUTCAR_1", "here"),
        ("vasprun.xml", "here"),
        ("vasprun.xml.static.1", "here"),
        ("vasprun_old.xml", "here"),
        ("espresso.pwo", "here"),
        ("gpaw.txt", "here"),
        ("nwchem.nwo", "here"),
    ],
)
def test_a_file_is_called_by_what_its_name_says(file: str, name: str, tmp_path: Path) -> None:
    assert name_of(touch(tmp_path / "here" / file)) == name
    assert name_of(touch(tmp_path / "here" / "outputs" / file)) == name


@pytest.mark.parametrize("folder", ["x", "O_0.25ML", "run1", "slab.relaxed", "Cu.vasp"])
@pytest.mark.parametrize("inside", ["", "outputs", "relax", "VASP", "results/run", "calc/outputs"])
def test_whatever_is_named_of_a_calculation(folder: str, inside: str, tmp_path: Path) -> None:
    place = tmp_path / folder / inside
    for file in ("OUTCAR", "OUTCAR.gz", "vasprun.xml.gz", "CONTCAR", "espresso.pwo"):
        assert name_of(touch(place / file)) == folder
    assert name_of(place) == folder
    assert name_of(place / ".." / place.name) == folder


def test_folders_of_jobs_give_way_where_they_are_alone(tmp_path: Path) -> None:
    first = touch(tmp_path / "x" / "job_2025-03-04-05-06-07-123456-77777" / "OUTCAR.gz")
    assert name_of(first) == name_of(first.parent) == "x"
    second = touch(tmp_path / "x" / "job_2025-03-04-06-06-07-123456-88888" / "OUTCAR.gz")
    assert [name_of(each) for each in (first, second)] == [first.parent.name, second.parent.name]
    launched = "block_2025-03-04-05-06-07-123456/launcher_2025-03-04-05-06-07-654321"
    assert name_of(touch(tmp_path / "y" / launched / "outputs" / "OUTCAR")) == "y"


def test_a_link_is_called_as_it_is(tmp_path: Path) -> None:
    touch(tmp_path / "scratch" / "4711" / "OUTCAR")
    (tmp_path / "x").symlink_to(tmp_path / "scratch" / "4711")
    assert name_of(tmp_path / "x") == name_of(tmp_path / "x" / "OUTCAR") == "x"


def test_there_is_always_a_name() -> None:
    assert name_of(Path("/outputs/OUTCAR")) == "OUTCAR"
    assert name_of(Path("nowhere/x.traj")) == "x"
