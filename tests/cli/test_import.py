"""``finetuna-flows import``, and existing calculations in comparisons."""

from __future__ import annotations

import json
import os
from contextlib import chdir
from pathlib import Path

import pytest
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "o_cu")


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
    assert summary["name"] == "o_cu"
    shown = run(tmp_path, "show", summary["uuid"][:8], "--store", "st")
    assert shown.stdout.count("parent_driven") == summary["parent_calls"]


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


def test_exit_codes_are_those_of_relax(finished: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "import", "nowhere", "--store", "st").exit_code == 2
    strict = run(tmp_path, "import", str(finished), "--fmax", "1e-4", "--store", "st")
    assert strict.exit_code == 1
    outside = run(tmp_path, "import", str(finished), "--adsorbate", "9", "--store", "st")
    assert outside.exit_code == 2
    assert "adsorbate index is 9" in outside.stderr


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
