"""VASP from the command line: as the parent, with a folder's settings, by itself, tried out."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.structures.read import read_structure
from tests.systems import MORSE, MORSE_ARGUMENTS, oxygen_on_copper
from tests.vasp import COMMAND, stand_in

PRIOR = ("--surrogate", f"ase:{MORSE}", "--surrogate-args", json.dumps(MORSE_ARGUMENTS))
INCAR = "ENCUT = 420\nGGA = PE\nIBRION = 2; NSW = 99\nEDIFFG = -0.06\nNELM = 80\n"


@pytest.fixture(autouse=True)
def vasp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINETUNA_FLOWS_STORE_PATH", str(tmp_path / "store"))
    with stand_in():
        yield


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """INCAR, KPOINTS and POSCAR of a relaxation."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    write(folder / "POSCAR", oxygen_on_copper(), format="vasp", direct=True)
    (folder / "INCAR").write_text(INCAR)
    (folder / "KPOINTS").write_text("grid\n0\nGamma\n3 3 1\n0 0 0\n")
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def documents(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_a_folder_with_inputs_is_all_that_is_needed(inputs: Path) -> None:
    result = run("relax", "--vasp-inputs", "inputs", "--adsorbate", "8", *PRIOR, "--json")
    assert result.exit_code == 0, result.output
    (doc,) = documents(result)
    assert doc["fmax_threshold"] == 0.06
    assert doc["level_of_theory"] == (
        "stand-in for VASP PBE, 420 eV, ISMEAR 1 of 0.2 eV, no spin, 3×3×1 Gamma k-points, PAW Cu O"
    )
    assert doc["integrity"] == "intact"
    assert re.search(r"was paused for \d+\.\d s", result.stderr)
    label = Path("runs/inputs/online/vasp/0000")
    assert "NELM = 80" in (label / "INCAR").read_text()
    assert (label / "KPOINTS").read_text().split()[2:6] == ["Gamma", "3", "3", "1"]
    ended = read_structure("runs/inputs/online/CONTCAR")
    assert list(ended.symbols) == list(oxygen_on_copper().symbols)


def test_labels_are_kept_where_no_number_changes(inputs: Path) -> None:
    words = ("relax", "--vasp-inputs", "inputs", "--method", "BFGS", "--max-calls")
    assert run(*words, "2").exit_code == 1
    (inputs / "INCAR").write_text(INCAR.replace("80", "90") + "NCORE = 8\n")
    result = run(*words, "3", "--parent", "vasp:cold", "--json")
    assert documents(result)[0]["replayed_calls"] == 2
    (inputs / "INCAR").write_text(INCAR.replace("420", "500"))
    result = run(*words, "4")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "`level` was 'stand-in for VASP PBE, 420 eV'" in said or "`level` was '420 eV'" in said
    assert "and is '500 eV'" in said


def test_a_dry_run_shows_what_vasp_would_read(inputs: Path) -> None:
    result = run("relax", "--vasp-inputs", "inputs", "--dry-run")
    assert result.exit_code == 0
    assert "inputs, online: stand-in for VASP PBE, 420 eV" in result.stderr
    for tag in ("INTERACTIVE = True", "IBRION = -1", "NELM = 80", "ISYM = 0"):
        assert tag in result.stderr
    assert json.loads(result.stdout)["parent"]["@class"] == "VaspParentSpec"
    (inputs / "INCAR").write_text("ISIF = 3\n")
    assert run("relax", "--vasp-inputs", "inputs", "--dry-run").exit_code == 2
    assert not Path("runs").exists()


def test_a_dry_run_needs_no_command(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VASP_COMMAND")
    result = run("compare", "--vasp-inputs", "inputs", "--dry-run")
    assert result.exit_code == 0
    assert "no command starts VASP" in result.stderr


def test_a_second_start_of_the_engine_is_shown(inputs: Path, tmp_path: Path) -> None:
    words = ("--vasp-inputs", "inputs", "--method", "BFGS", "--fmax", "0.5", "--json")
    with stand_in(fault="kill@2", fault_file=str(tmp_path / "happened")):
        (doc,) = documents(run("relax", *words))
    shown = run("show", str(doc["uuid"])[:8]).stdout
    assert shown.count("the engine was started again") == 1


def test_who_says_how_far_is_said(inputs: Path) -> None:
    for words, said in (
        (("--vasp-inputs", "inputs"), "to fmax 0.06 eV/Å (EDIFFG of INCAR)"),
        (("--vasp-inputs", "inputs", "--fmax", "0.2"), "to fmax 0.2 eV/Å (--fmax)"),
        (("inputs/POSCAR", "--parent", "vasp"), "to fmax 0.03 eV/Å (the default)"),
    ):
        assert said in run("relax", *words, "--dry-run").stderr


def test_what_vasp_would_not_relax_is_refused_at_once(inputs: Path) -> None:
    (inputs / "INCAR").write_text("IBRION = -1\nNSW = 0\n")
    result = run("relax", "--vasp-inputs", "inputs", "--method", "vasp-cg")
    assert result.exit_code == 2
    assert "IBRION is -1 and NSW 0 but a relaxation has" in " ".join(result.stderr.split())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # custodian looks for POTCARs
def test_the_same_settings_serve_vasps_own_relaxation(inputs: Path) -> None:
    words = ("--methods", "BFGS,vasp-cg", "--adsorbate", "8", "--fmax", "0.1")
    result = run("compare", "--vasp-inputs", "inputs", "--parent", "vasp:restart", *words)
    assert result.exit_code == 0, result.output
    assert re.search(r"vasp-cg +yes", result.stdout)
    assert re.search(r"BFGS +yes .*[+-]0\.0\d+ .*same", result.stdout)  # of one level of theory


@pytest.mark.slow
def test_a_killed_command_goes_on_with_the_labels(inputs: Path, tmp_path: Path) -> None:
    words = ["relax", "--vasp-inputs", "inputs", "--adsorbate", "8", "--method", "BFGS"]
    first = subprocess.Popen(
        [sys.executable, "-m", "finetuna_flows.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_VASP_CYCLE_TIME": "0.01"},
    )
    ledger = tmp_path / "runs/inputs/BFGS/ledger.jsonl"
    with first:
        assert first.stderr is not None
        for line in first.stderr:
            if ledger.exists() and re.match(r" +3 ", line):
                first.kill()
    kept = len(ledger.read_text().splitlines()) - 1
    assert kept >= 3
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    (doc,) = documents(result)
    assert doc["replayed_calls"] == kept
    assert len(list((ledger.parent / "vasp").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("slab.vasp", "--vasp-inputs", "inputs"), "slab.vasp is named beside --vasp-inputs"),
        (("--vasp-inputs", "inputs", "--parent", "emt"), "--parent is emt but --vasp-inputs means"),
        (("--vasp-inputs", "nowhere"), "nowhere holds no INCAR"),
        (("--vasp-inputs", "inputs", "--fmax", "0"), "`fmax` is 0.0 eV/Å but must be a positive"),
        ((), "no structure is named"),
    ],
)
def test_what_does_not_fit_a_folder_is_refused(
    inputs: Path, words: tuple[str, ...], said: str
) -> None:
    result = run("relax", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("IBRION = 0\n", "IBRION is 0 but must be one of -1, 1, 2, 3"),
        ("ISIF = 3\n", "ISIF is 3 but must be at most 2, since cells stay as they are; set it"),
        ("ISYM = 2\n", "ISYM is 2 but must be 0 for labels"),
    ],
)
def test_an_incar_that_is_for_something_else_is_refused(inputs: Path, tags: str, said: str) -> None:
    (inputs / "INCAR").write_text(tags)
    result = run("relax", "--vasp-inputs", "inputs", *PRIOR)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not Path("runs").exists()


def test_parents_arguments_are_those_of_the_input_set() -> None:
    tags = '{"user_incar_settings": {"ENCUT": 400}}'
    write("slab.vasp", oxygen_on_copper(), format="vasp")
    words = ("relax", "slab.vasp", "--parent", "vasp:cold", "--dry-run", "--parent-args")
    spec = json.loads(run(*words, tags).stdout)["parent"]
    assert spec["continuation"]["value"] == "cold"
    assert spec["input_set_generator"]["user_incar_settings"] == {"ENCUT": 400}
    other = '{"input_set_generator": "atomate2.vasp.sets.core:StaticSetGenerator"}'
    spec = json.loads(run(*words, other).stdout)["parent"]
    assert spec["input_set_generator"]["@class"] == "StaticSetGenerator"
    refused = run(*words, '{"encut": 400}')
    assert refused.exit_code == 2
    assert "--parent-args has encut but may have only" in refused.stderr


def test_a_relative_command_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("slab.vasp", oxygen_on_copper(), format="vasp")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/vasp_std").touch(0o755)
    monkeypatch.setenv("VASP_COMMAND", "bin/vasp_std")
    result = run("relax", "slab.vasp", "--parent", "vasp", *PRIOR)
    assert result.exit_code == 3
    assert f"write {tmp_path}/bin/vasp_std" in " ".join(result.stderr.split())


def test_doctor_tries_an_installation_out() -> None:
    with stand_in(version="6.4.2", ranks="3"):  # two are forked by the first
        result = run("doctor", "--vasp")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "ok VASP labels H2" in said
    assert "VASP version 6.4.2, dialect: count" in said
    assert "OUTCAR is flushed at each label" in said
    assert "ranks on this node: 2" in said
    assert re.search(r"ok VASP pause stopped in \d+ ms, resumed in \d+ ms", said)


@pytest.mark.slow
def test_doctor_says_why_an_installation_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in(fault="die@1"):
        result = run("doctor", "--vasp")
    assert result.exit_code == 1
    assert "missing VASP labels H2 VASP in" in " ".join(result.stdout.split())
    monkeypatch.delenv("VASP_COMMAND")
    assert "no command starts VASP" in run("doctor").stdout
    monkeypatch.setenv("VASP_COMMAND", shlex.join(["mpirun_of_nobody", COMMAND]))
    assert "is no program here" in run("doctor").stdout
