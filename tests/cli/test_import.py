"""``finetuna-flows import``, and existing calculations in comparisons."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import chdir, closing
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from tests.relaxation.recorded_files import frame, relaxed_by_ase, write_frames
from tests.relaxation.vasp_runs import date_back, relax
from tests.systems import oxygen_on_copper

TIMES = ("completed_at", "last_updated")
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "finetuna" / "authors_layout"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "o_cu")


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()


def labelled(frames: list[Atoms], system: str, method: str) -> list[Atoms]:
    copies = [
        frame(each, each.get_potential_energy(), each.get_forces(apply_constraint=False))
        for each in frames
    ]
    for copy in copies:
        copy.info = {"system": system, "method": method}
    return copies


def run(folder: Path, *words: str) -> Result:
    environ = os.environ | {
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environ)


def test_what_is_imported_is_in_the_store(finished: Path, tmp_path: Path) -> None:
    words = ["import", str(finished), "--adsorbate", "8", "--tag", "paid", "--store", "st"]
    done = run(tmp_path, *words)
    assert done.exit_code == 0, done.stderr
    assert "VASP CG" in done.stdout
    assert "intact" in done.stdout
    (line,) = run(tmp_path, "list", "--tag", "paid", "--store", "st", "--json").stdout.splitlines()
    summary = json.loads(line)
    assert summary["name"] == "VASP CG"
    shown = run(tmp_path, "show", summary["uuid"][:8], "--store", "st")
    assert shown.stdout.count("parent_driven") == summary["parent_calls"]


def test_what_is_inferred_is_told_and_stored(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "o_cu"
    shutil.copytree(finished, folder)
    date_back(folder)
    for name in ("OUTCAR", "vasprun.xml"):
        (folder / name).rename(folder / f"{name}.1")
    went_on = ase.io.read(finished / "CONTCAR", format="vasp")
    assert isinstance(went_on, Atoms)
    same = relax(went_on, tmp_path / "same", EDIFFG=-0.02, IBRION=3, IOPT=7)
    for name in ("OUTCAR", "vasprun.xml", "POSCAR"):
        shutil.copy(same / name, folder)
    done = run(tmp_path, "import", "o_cu", "--store", "st", "--json")
    assert done.exit_code == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["method"] == "VTST FIRE"
    assert first["inferred"][-3:] == [  # after what is inferred of the structure
        "relaxed by VASP CG and then by VTST FIRE",
        "relaxed by VTST FIRE, as IOPT 7 under IBRION 3 says",
        "o_cu/vasprun.xml.1 with o_cu/OUTCAR.1 comes before o_cu/vasprun.xml, which begins where "
        "it ends",
    ]
    assert "o_cu/OUTCAR.1 comes before o_cu/vasprun.xml" in " ".join(done.stderr.split())
    shown = run(tmp_path, "show", first["uuid"][:8], "--store", "st").stdout
    assert "relaxed by VTST FIRE, as IOPT 7" in " ".join(shown.split())


def test_a_difference_of_levels_names_the_tag(finished: Path, tmp_path: Path) -> None:
    relax(oxygen_on_copper(), tmp_path / "other", VENDOR_TAG=2)
    words = ("--system", "o", "--store", "st")
    run(tmp_path, "import", str(finished), "--name", "cg", *words)
    run(tmp_path, "import", "other", "--name", "other", *words)
    table = run(tmp_path, "compare", "--table", "--reference", "cg", "--store", "st").stdout
    said = "they differ in VENDOR_TAG=2, which this package does not know): o."
    assert f"not compared (another level of theory: {said}" in " ".join(table.split())


def test_a_damaged_one_is_reported_and_the_rest_is_kept(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "OUTCAR").write_text("vasp.6.3.2\n")
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse" / "vasprun.xml.gz").write_bytes(b"no archive")
    paths = ["bad", "worse", str(finished / "OUTCAR")]
    done = run(tmp_path, "import", *paths, "--name", "cg", "--store", "st", "--json")
    assert done.exit_code == 3
    assert "bad/OUTCAR ends before its first geometry" in done.stderr
    assert "worse/vasprun.xml.gz cannot be read: Not a gzipped file" in done.stderr
    *failed, kept = map(json.loads, done.stdout.splitlines())
    assert [each["error"] for each in failed] == ["ParentError"] * 2
    assert kept["name"] == "cg"
    assert len(run(tmp_path, "list", "--store", "st", "--json").stdout.splitlines()) == 1


def test_a_damaged_step_is_told_its_call_counts_and_the_batch_goes_on(
    finished: Path, frames: list[Atoms], tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    text = (finished / "vasprun.xml").read_text()
    head, *steps = text.split('<varray name="forces" >')
    steps[3] = steps[3].replace("<v> ", "<v> **************** ", 1)
    (tmp_path / "one" / "vasprun.xml").write_text('<varray name="forces" >'.join([head, *steps]))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "vasprun.xml").write_bytes(text.encode()[:5000])
    write_frames(frames, tmp_path / "run.traj")
    paths = ["none", "one", "run.traj"]
    done = run(tmp_path, "import", *paths, "--store", "st", "--json")
    assert done.exit_code == 3
    assert "Traceback" not in done.stderr
    assert "damaged, left out: one/vasprun.xml ionic step 4 (line " in done.stderr
    assert "2 imported, 1 failed, 1 damaged parts left out" in done.stderr
    _, kept, _ = map(json.loads, done.stdout.splitlines())
    assert kept["parent_calls"] == len(steps)
    assert kept["converged"]
    assert [words[:30] for words in kept["damaged"]] == ["one/vasprun.xml ionic step 4 ("]


def test_exit_codes_say_whether_all_is_in_the_store(finished: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "import", "nowhere", "--store", "st").exit_code == 2
    strict = run(tmp_path, "import", str(finished), "--fmax", "1e-4", "--store", "st")
    assert strict.exit_code == 0
    assert "no: other_criterion" in strict.stdout  # its own EDIFFG was met, which is looser
    outside = run(tmp_path, "import", str(finished), "--adsorbate", "9", "--store", "st")
    assert outside.exit_code == 2
    assert "adsorbate index is 9" in outside.stderr


def test_nothing_is_done_if_a_path_cannot_be_read(frames: list[Atoms], tmp_path: Path) -> None:
    write_frames(frames, tmp_path / "good.traj")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("by hand\n")
    for bad, words in {
        "nowhere.db": "nowhere.db is not there",
        "empty": "empty holds no vasprun.xml",
        "notes.txt": "notes.txt is of no kind that is known here",
    }.items():
        done = run(tmp_path, "import", "good.traj", bad, "--store", "st")
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert words in line
        assert not (tmp_path / "st").exists()
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize("name", ["run.traj", "run.extxyz.gz", "run.db"])
def test_a_trajectory_of_ases(name: str, frames: list[Atoms], tmp_path: Path) -> None:
    write_frames(frames, tmp_path / name)
    words = ["import", name, "--method", "BFGS", "--level", "EMT", "--system", "o_cu"]
    done = run(tmp_path, *words, "--store", "st", "--json")
    assert done.exit_code == 0, done.stderr
    doc = json.loads(done.stdout)
    assert (doc["name"], doc["method"], doc["system"]) == ("BFGS", "BFGS", "o_cu")
    assert doc["level_of_theory"] == "EMT"
    assert doc["adsorbate"] == "O"
    assert doc["parent_calls"] == len(frames)
    assert doc["converged"]
    assert "level of theory" not in done.stderr
    shown = run(tmp_path, "show", doc["uuid"][:8], "--store", "st")
    assert shown.stdout.count("parent_driven") == len(frames)


def test_importing_twice_changes_nothing(frames: list[Atoms], tmp_path: Path) -> None:
    many = [labelled(frames, "a", "CG"), labelled(frames[:4], "a", "BFGS")]
    write_frames([each for one in many for each in one], tmp_path / "many.extxyz")
    first = run(tmp_path, "import", "many.extxyz", "--store", "st", "--json")
    assert "a BFGS: 4 parent calls" in first.stderr
    assert first.stderr.count("; imported") == 2
    assert "2 imported" in first.stderr
    store, times = (tmp_path / "st" / "results.sqlite").read_bytes(), dict.fromkeys(TIMES)
    again = run(tmp_path, "import", str(tmp_path / "many.extxyz"), "--store", "st", "--json")
    assert "2 already there" in again.stderr
    assert (tmp_path / "st" / "results.sqlite").read_bytes() == store
    for one, other in zip(first.stdout.splitlines(), again.stdout.splitlines(), strict=True):
        before, now = json.loads(one), json.loads(other)
        assert now["completed_at"][:23] == before["completed_at"][:23]  # BSON has milliseconds
        assert {**now, **times} == {**before, **times}


def test_what_has_changed_since_is_replaced_only_if_that_is_said(
    frames: list[Atoms], tmp_path: Path
) -> None:
    write_frames(frames[:3], tmp_path / "run.traj")
    options = ("--store", "st", "--json")
    before = json.loads(run(tmp_path, "import", "run.traj", *options).stdout)
    write_frames(frames, tmp_path / "run.traj")  # it went on
    refused = run(tmp_path, "import", "run.traj", *options)
    assert refused.exit_code == 2
    assert "have changed since; --again replaces it" in refused.stderr
    assert before["uuid"][:8] in refused.stderr
    now = json.loads(run(tmp_path, "import", "run.traj", "--again", *options).stdout)
    assert now["uuid"] == before["uuid"]
    assert (before["parent_calls"], now["parent_calls"]) == (3, len(frames))
    (line,) = run(tmp_path, "list", *options).stdout.splitlines()
    assert json.loads(line)["parent_calls"] == len(frames)
    with closing(sqlite3.connect(tmp_path / "st" / "results.sqlite")) as connection:
        ((blobs,),) = connection.execute("SELECT COUNT(*) FROM outputs_blobs")
    assert blobs == 2  # trajectory and ledger, no old ones
    other = run(tmp_path, "import", "run.traj", "--name", "mine", *options)
    assert json.loads(other.stdout)["uuid"] != now["uuid"]
    turned = [frames[2], *frames[3:]]  # another start, so another relaxation
    write_frames(turned, tmp_path / "run.traj")
    assert run(tmp_path, "import", "run.traj", *options).exit_code == 0
    assert len(run(tmp_path, "list", *options).stdout.splitlines()) == 3


def test_damaged_frames_are_told_and_the_rest_is_kept(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(labelled(frames, "a", "CG"), tmp_path / "many.extxyz")
    lines = path.read_text().splitlines()
    lines[11 + 4] = "Cu 1 2 x"
    bad = labelled(frames[:1], "b", "CG")
    bad[0].calc.results["forces"][:] = float("inf")
    path.write_text("\n".join(lines) + "\n")
    write_frames(bad, tmp_path / "bad.traj")
    done = run(tmp_path, "import", "many.extxyz", "bad.traj", "--store", "st", "--json")
    assert done.exit_code == 3
    alone = run(tmp_path, "import", "many.extxyz", "--store", "alone")
    assert alone.exit_code == 0  # as the help says of damaged parts
    assert "1 imported, 1 damaged parts left out" in alone.stderr
    assert "damaged, left out: many.extxyz frame 1 (line 12) cannot be read" in done.stderr
    assert "error: bad.traj: bad.traj frame 0: the parent returned forces" in done.stderr
    assert "1 imported, 1 failed, 2 damaged parts left out" in done.stderr
    kept, failed = map(json.loads, done.stdout.splitlines())
    assert kept["parent_calls"] == len(frames)  # the damaged one was paid for too
    assert [words[:24] for words in kept["damaged"]] == ["many.extxyz frame 1 (lin"]
    assert failed["name"] == "b CG"
    assert failed["error"] == "ParentError"


def test_many_are_shown_by_method(frames: list[Atoms], tmp_path: Path) -> None:
    many = [
        each
        for system in range(12)
        for method in ("CG", "BFGS")
        for each in labelled(frames[-2:], f"s{system}", method)
    ]
    write_frames(many, tmp_path / "many.db")
    done = run(tmp_path, "import", "many.db", "--store", "st")
    assert done.exit_code == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1:] == [[name, name, "12", "12", "12", "2.0"] for name in ("CG", "BFGS")]
    assert "name it with --level" in done.stderr


def test_tags_come_from_starting_structures(frames: list[Atoms], tmp_path: Path) -> None:
    bare = labelled(frames, "a", "CG")
    for each in bare:
        each.set_tags(0)
    write_frames(bare, tmp_path / "run.traj")
    start = frames[0].copy()
    write(tmp_path / "starts.extxyz", start)
    plain = run(tmp_path, "import", "run.traj", "--store", "plain", "--json")
    assert json.loads(plain.stdout)["adsorbate"] is None
    done = run(
        tmp_path, "import", "run.traj", "--initial", "starts.extxyz", "--store", "st", "--json"
    )
    assert json.loads(done.stdout)["adsorbate"] == "O"
    missing = run(tmp_path, "import", "run.traj", "--initial", "none.extxyz", "--store", "st")
    assert missing.exit_code == 2


def test_where_no_adsorbate_is_tagged_it_is_said_once(frames: list[Atoms], tmp_path: Path) -> None:
    bare = [*labelled(frames, "a", "CG"), *labelled(frames, "b", "CG")]
    for each in bare:
        each.set_tags(0)
    write_frames([*bare, *labelled(frames, "c", "CG")], tmp_path / "run.traj")
    done = run(tmp_path, "import", "run.traj", "--store", "st")
    assert done.exit_code == 0, done.stderr
    (line,) = [words for words in done.stderr.splitlines() if "tagged" in words]
    assert line.startswith("no atom is tagged as adsorbate in 2 of 3 relaxations")
    assert "--initial or --adsorbate" in line
    tagged = run(tmp_path, "import", "run.traj", "--adsorbate", "8", "--store", "other")
    assert tagged.exit_code == 0, tagged.stderr
    assert "no atom is tagged" not in tagged.stderr


@pytest.mark.parametrize("option", ["--method", "--level", "--name", "--system", "--by"])
def test_an_option_that_says_nothing_is_refused(
    option: str, frames: list[Atoms], tmp_path: Path
) -> None:
    write_frames(frames, tmp_path / "run.traj")
    done = run(tmp_path, "import", "run.traj", option, "", "--store", "st")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert ("the keys are ''" if option == "--by" else f"{option} is ''") in line
    assert not (tmp_path / "st").exists()


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"no published data in {PUBLISHED}")
def test_what_the_authors_released(tmp_path: Path) -> None:
    words = ["import", str(PUBLISHED), "--store", "st"]
    starts = ["--initial", str(PUBLISHED.parent / "initial_structures.extxyz")]
    first = run(tmp_path, *words, *starts)
    assert first.exit_code == 0, first.stderr
    assert "15 imported" in first.stderr
    assert first.stdout.count("intact") == 15
    assert "random1979576 K_steps: 12 parent calls, -465.8301 eV" in first.stderr
    again = run(tmp_path, *words, *starts)
    assert "15 already there" in again.stderr
    assert again.stdout == first.stdout
    untagged = run(tmp_path, *words)
    assert untagged.exit_code == 2
    assert untagged.stderr.count("--again replaces it") == 15


def test_compare_with_a_calculation_that_is_paid_for(finished: Path, tmp_path: Path) -> None:
    write(tmp_path / "o_cu.traj", oxygen_on_copper())
    words = ["compare", "o_cu.traj", "--parent", "emt", "--fmax", "0.05", "--store", "st"]
    done = run(tmp_path, *words, "--methods", f"BFGS,vasp:{finished}")
    assert done.exit_code == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.split()}
    assert rows["vasp:o_cu"][1] == "yes"
    assert rows["BFGS"][1] == "yes"
    refused = run(tmp_path, *words, "--methods", "BFGS,vasp:nowhere", "-d", "other")
    assert refused.exit_code == 2
    assert "nowhere is not there" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_vasps_own_relaxation_takes_the_parents_input_set(tmp_path: Path) -> None:
    write(tmp_path / "o_cu.traj", oxygen_on_copper())
    settings = '{"user_incar_settings": {"ENCUT": 400}}'
    words = ["--parent", "vasp", "--parent-args", settings, "--fmax", "0.05", "--dry-run"]
    done = run(tmp_path, "relax", "o_cu.traj", "--method", "vasp-cg", *words)
    assert done.exit_code == 0, done.stderr
    spec = json.loads(done.stdout)
    assert spec["@class"] == "VaspCgMaker"
    assert spec["fmax"] == 0.05
    assert spec["input_set_generator"]["user_incar_settings"] == {"ENCUT": 400}
