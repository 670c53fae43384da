"""``finetuna-flows import dir/*``: what lies there by the way is named, all else imported."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.io import write
from typer.testing import Result

from tests.cli.test_import import run
from tests.relaxation.recorded_files import relaxed_by_ase, write_frames
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "o_cu")


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()


def imported(folder: Path, pattern: str) -> tuple[Result, str]:
    """As a shell calls it: the pattern's matches, sorted; and what was said, on one line."""
    paths = sorted(str(each.relative_to(folder)) for each in folder.glob(pattern))
    done = run(folder, "import", *paths, "--store", "st", "--json")
    return done, " ".join(done.stderr.split())


def systems(done: Result) -> list[str]:
    return [json.loads(line)["system"] for line in done.stdout.splitlines()]


def make(folder: Path, finished: Path, frames: list[Atoms]) -> None:
    """Two relaxations, a folder not yet run, and what else lies about."""
    (folder / "runs").mkdir()
    (folder / "runs" / "done").symlink_to(finished)
    write_frames(frames, folder / "runs" / "O_0.25ML.extxyz.gz")
    (folder / "runs" / "todo").mkdir()
    for name in ("INCAR", "KPOINTS", "POSCAR"):
        (folder / "runs" / "todo" / name).write_bytes((finished / name).read_bytes())


def test_a_folder_not_yet_run_is_passed_over(
    finished: Path, frames: list[Atoms], tmp_path: Path
) -> None:
    make(tmp_path, finished, frames)
    done, said = imported(tmp_path, "runs/*")
    assert done.exit_code == 0, done.stderr
    assert systems(done) == ["O_0.25ML", "done"]
    words = "passed over: runs/todo was not run yet: it holds inputs (INCAR, KPOINTS, POSCAR) and"
    assert words in said
    assert "2 imported, 1 passed over" in said


def test_all_else_that_lies_there_is_passed_over(
    finished: Path, frames: list[Atoms], tmp_path: Path
) -> None:
    make(tmp_path, finished, frames)
    runs = tmp_path / "runs"
    (runs / "empty").mkdir()
    (runs / "espresso").mkdir()
    (runs / "espresso" / "pw.pwi").write_text("&CONTROL\n/\n")
    (runs / "scripts").mkdir()
    (runs / "scripts" / "a.py").touch()
    (runs / "README").write_text("by hand\n")
    (runs / "submit.sh").write_text("#!/bin/bash\nsrun vasp_std\n")
    (runs / "slurm-123.out").write_text("srun: job 123 queued\n")
    (runs / "bfgs.log").write_text("BFGS:    0 10:00:00       -1.0        0.3\n")
    (runs / "view.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (runs / "nothing.traj").touch()
    write(runs / "start.xyz", oxygen_on_copper(), format="xyz")
    done, said = imported(tmp_path, "runs/*")
    assert done.exit_code == 0, done.stderr
    assert systems(done) == ["O_0.25ML", "done"]
    for words in (
        "runs/todo was not run yet",
        "runs/empty is an empty folder",
        "runs/espresso was not run yet: it holds inputs (pw.pwi)",
        "runs/scripts holds no vasprun.xml and no OUTCAR but a.py",
        "runs/README is of no kind that is known here",
        "runs/submit.sh is of no kind that is known here",
        "runs/slurm-123.out holds not one geometry",
        "runs/bfgs.log holds not one geometry",
        "runs/view.png is of no kind that is known here",
        "runs/nothing.traj is empty",
        "runs/start.xyz holds structures without energies",
    ):
        assert f"passed over: {words}" in said
    assert "2 imported, 11 passed over" in said


@pytest.mark.parametrize("pattern", ["runs/*/outputs", "runs/*/"])
def test_other_patterns_are_known_too(pattern: str, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "notes.txt").touch()
    for name in ("x", "y"):
        (tmp_path / "runs" / name / "outputs").mkdir(parents=True)
    for file in finished.iterdir():
        (tmp_path / "runs" / "x" / "outputs" / file.name).symlink_to(file)
        (tmp_path / "runs" / "x" / file.name).symlink_to(file)
    done, said = imported(tmp_path, pattern)
    assert done.exit_code == 0, done.stderr
    assert systems(done) == ["x"]
    assert "passed over: runs/y" in said


def test_what_is_named_by_itself_refuses(
    finished: Path, frames: list[Atoms], tmp_path: Path
) -> None:
    make(tmp_path, finished, frames)
    (tmp_path / "runs" / "empty").mkdir()
    for path in ("runs/todo", "runs/empty"):
        done = run(tmp_path, "import", path, "--store", "st")
        assert done.exit_code == 2
        assert f"{path} holds no vasprun.xml and no OUTCAR" in done.stderr
    for paths in (["runs/done", "runs/empty"], ["runs/done", "runs/nowhere"]):
        done = run(tmp_path, "import", *paths, "--store", "st")
        assert done.exit_code == 2
    both = run(tmp_path, "import", "runs/done", "runs/todo", "--store", "st")
    assert both.exit_code == 0, both.stderr


def test_a_pattern_that_matches_no_relaxation_refuses(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write(tmp_path / "runs" / name / "POSCAR", oxygen_on_copper())
    done, said = imported(tmp_path, "runs/*")
    assert done.exit_code == 2
    assert "none of the 2 paths holds a relaxation: runs/a was not run yet" in said
    assert not (tmp_path / "st").exists()


def test_of_one_calculation_all_names_are_one_system(finished: Path, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "x" / "outputs"
    place.mkdir(parents=True)
    for file in finished.iterdir():
        (place / file.name).symlink_to(file)
    names = ["runs/x/outputs", "runs/x/outputs/OUTCAR", "runs/x/outputs/vasprun.xml"]
    done = run(tmp_path, "import", *names, "--store", "st", "--json")
    assert systems(done) == ["x"] * 3


def test_labels_under_other_names_are_offered_and_read(frames: list[Atoms], tmp_path: Path) -> None:
    copies = []
    for each in frames:
        copy = each.copy()
        copy.info["REF_energy"] = each.calc.results["energy"]
        copy.arrays["REF_forces"] = each.calc.results["forces"]
        copies.append(copy)
    ase.io.write(tmp_path / "set.extxyz", copies)
    refused = run(tmp_path, "import", "set.extxyz", "--store", "st")
    assert refused.exit_code == 3
    option = "--keys energy=REF_energy,forces=REF_forces"
    assert option in " ".join(refused.stderr.split())
    done = run(tmp_path, "import", "set.extxyz", *option.split(), "--store", "st", "--json")
    assert done.exit_code == 0, done.stderr
    doc = json.loads(done.stdout)
    assert doc["parent_calls"] == len(frames)
    assert doc["energy"] == pytest.approx(frames[-1].calc.results["energy"], abs=1e-7)
    wrong = run(tmp_path, "import", "set.extxyz", "--keys", "energy=E,forces=F", "--store", "st")
    assert wrong.exit_code == 2
    assert "'E' but nothing in set.extxyz is; it has: REF_energy, REF_forces" in wrong.stderr
