"""The commands as a user runs them, judged by output and exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import pytest
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from tests.systems import oxygen_on_copper

COMMAND = [sys.executable, "-m", "finetuna_flows.cli"]
CHEAP = ["--surrogate", "toy", "--parent", "emt", "--fmax", "0.05"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "o_cu.traj", oxygen_on_copper())
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "store"),
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "FINETUNA_FLOWS_MODELS_PATH": str(folder / "models"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }


def run(folder: Path, *words: str) -> Result:
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environment(folder))


def test_finetune_then_relax_with_it_by_name(folder: Path) -> None:
    assert run(folder, "relax", "o_cu.traj", *CHEAP, "-d", "one").exit_code == 0
    write(folder / "bare.traj", oxygen_on_copper()[:-1])
    bare = run(folder, "relax", "bare.traj", *CHEAP, "--rattle", "0.1", "-d", "two")
    assert bare.exit_code == 0, bare.stderr
    words = ["finetune", "one", "two", "--save-as", "toys", "--surrogate", "toy"]
    done = run(folder, *words, "--recipe-args", '{"epochs": 1}')
    assert done.exit_code == 0, done.stderr
    assert "saved:toys" in done.stdout
    assert "validate" in done.stdout
    again = run(folder, *words, "-d", "again")
    assert again.exit_code == 2
    assert "overwrite" in again.stderr
    used = run(folder, "relax", "o_cu.traj", *CHEAP[2:], "--surrogate", "saved:toys", "-d", "three")
    assert used.exit_code == 0, used.stderr


def test_finetune_needs_two_systems(folder: Path) -> None:
    assert run(folder, "relax", "o_cu.traj", *CHEAP).exit_code == 0
    done = run(folder, "finetune", "runs", "--save-as", "toys", "--surrogate", "toy")
    assert done.exit_code == 2
    assert "1 system" in done.stderr


def test_relax_list_show(folder: Path) -> None:
    done = run(folder, "relax", "o_cu.traj", *CHEAP, "--tag", "first", "--json")
    assert done.exit_code == 0, done.stderr
    (doc,) = [json.loads(each) for each in done.stdout.splitlines()]
    assert doc["converged"]
    assert doc["fmax"] <= 0.05
    assert doc["tags"] == ["first"]
    assert (doc["system"], doc["name"], doc["adsorbate"]) == ("o_cu", "online", "O")
    assert "fmax pred." in done.stderr  # the header of the plain lines
    assert len(done.stderr.splitlines()) >= doc["n_steps"]

    listed = run(folder, "list", "--chemsys", "O-Cu", "--method", "online")
    assert doc["uuid"][:8] in listed.stdout
    assert "Cu8O" in listed.stdout
    assert run(folder, "list", "--method", "BFGS", "--json").stdout == ""

    shown = run(folder, "show", doc["uuid"][:8])
    assert shown.exit_code == 0
    assert "the parent's own forces are below the threshold" in shown.stdout
    assert shown.stdout.count("endpoint") >= 1
    missing = run(folder, "show", "ffff")
    assert missing.exit_code == 3
    assert "ffff" in missing.stderr


def test_presets_are_told_apart_by_name(folder: Path) -> None:
    for preset in ("fast", "no-network"):
        words = ["relax", "o_cu.traj", *CHEAP, "--method", preset, "--max-calls", "1"]
        done = run(folder, *words)
        assert done.exit_code == 1, done.stderr
        words_of = [line.split()[:3] for line in done.stdout.splitlines()]
        assert ["o_cu", "Cu8O", preset] in words_of
    listed = run(folder, "list", "--method", "online").stdout.splitlines()[1:]
    assert {line.split()[4] for line in listed} == {"fast", "no-network"}
    (only,) = run(folder, "list", "--name", "no-network", "--json").stdout.splitlines()
    assert json.loads(only)["name"] == "no-network"


def test_a_second_run_replays_and_fresh_starts_anew(folder: Path) -> None:
    first = run(folder, "relax", "o_cu.traj", *CHEAP, "--json")
    again = run(folder, "relax", "o_cu.traj", *CHEAP, "--json")
    calls = json.loads(first.stdout)["parent_calls"]
    assert json.loads(again.stdout)["replayed_calls"] == calls
    fresh = run(folder, "relax", "o_cu.traj", *CHEAP, "--json", "--fresh")
    assert json.loads(fresh.stdout)["replayed_calls"] == 0
    assert (folder / "runs/o_cu/online" / f"{LEDGER_NAME}.1").exists()


def test_compare_prints_ledgers_and_methods_side_by_side(folder: Path) -> None:
    done = run(folder, "compare", "o_cu.traj", *CHEAP, "--methods", "online,warm-start,BFGS")
    assert done.exit_code == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    table = {row[0]: row for row in rows if row and row[0] in ("online", "warm-start", "BFGS")}
    assert table["BFGS"][1:4] == ["yes", table["BFGS"][2], "100%"]
    assert int(table["online"][2]) < int(table["BFGS"][2])
    assert "same" in table["online"]


def test_dry_run_prints_the_spec_and_does_nothing(folder: Path) -> None:
    done = run(folder, "relax", "o_cu.traj", *CHEAP, "--criterion", "first:2,every:7", "--dry-run")
    spec = json.loads(done.stdout)
    assert spec["@class"] == "OnlineRelaxMaker"
    assert spec["fmax"] == 0.05
    assert [each["@class"] for each in spec["criterion"]["criteria"]] == ["FirstN", "EveryK"]
    assert not (folder / "runs").exists()


def test_what_is_to_be_relaxed_is_said_first(folder: Path) -> None:
    (folder / "site").mkdir()
    bare = oxygen_on_copper()
    bare.set_tags(0)
    write(folder / "site" / "POSCAR", bare, format="vasp")
    done = run(folder, "relax", "o_cu.traj", "site/POSCAR", "--dry-run")
    assert "o_cu: Cu8O, 4 of 9 atoms fixed, adsorbate O" in done.stderr
    assert "site: Cu8O, 4 of 9 atoms fixed, no adsorbate tagged" in done.stderr


def test_a_changed_spec_in_the_same_folder_is_refused_with_the_way_out(folder: Path) -> None:
    run(folder, "relax", "o_cu.traj", *CHEAP, "--max-calls", "1")
    done = run(folder, "relax", "o_cu.traj", *CHEAP, "--optimizer", "FIRE")
    assert done.exit_code == 2
    assert "`spec.optimizer` was 'BFGS' and is 'FIRE'" in done.stderr
    assert "--fresh" in done.stderr


def test_a_refused_comparison_leaves_no_empty_folder(folder: Path) -> None:
    words = ["compare", "o_cu.traj", *CHEAP, "--methods", "online", "--max-calls", "1"]
    assert run(folder, *words).exit_code == 1
    assert run(folder, *words, "--optimizer", "FIRE").exit_code == 2
    assert [path.name for path in (folder / "runs/o_cu").iterdir()] == ["online"]


@pytest.mark.parametrize("command", ["relax", "compare"])
@pytest.mark.parametrize(
    ("surrogate", "told"),
    [
        (["saved:nothing"], "--surrogate: "),
        (["ensemble:saved:nothing"], "models/nothing holds no model.json"),
        (
            ["fairchem:/no/such/file", "--surrogate-args", '{"task": "oc20"}'],
            "--surrogate names /no/such/file, which is not a file",
        ),
    ],
)
def test_a_surrogate_that_is_not_there_is_refused_before_any_work(
    command: str, surrogate: list[str], told: str, folder: Path
) -> None:
    done = run(folder, command, "o_cu.traj", "--parent", "emt", "--surrogate", *surrogate)
    assert done.exit_code == 2, done.stderr
    assert told in done.stderr.splitlines()[-1]
    assert [path.name for path in folder.iterdir()] == ["o_cu.traj"]


def test_exit_code_1_where_a_limit_ends_it(folder: Path) -> None:
    done = run(folder, "relax", "o_cu.traj", *CHEAP, "--max-calls", "2")
    assert done.exit_code == 1
    assert "max_parent_calls" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["o_cu.traj", "--parent", "vasp6"], "--parent is 'vasp6' but must be one of"),
        (["o_cu.traj", "--parent-args", "{"], "--parent-args is '{' but must be a JSON object"),
        (["o_cu.traj", "--surrogate", "magic"], "--surrogate is 'magic' but must be chgnet"),
        (["o_cu.traj", "--tuner", "gp+wish"], "tuner 'wish' is not one of gp, gradient"),
        (["o_cu.traj", "--criterion", "often"], "query criterion is 'often' but must be"),
        (["o_cu.traj", "--method", "guess"], "method is 'guess' but must be one of online"),
        (["o_cu.traj", "--max-calls", "0"], "`max_parent_calls` is 0 but must be positive"),
        (["nowhere.cif"], "nowhere.cif"),
        (["o_cu.traj", "o_cu.traj"], "several structures are called 'o_cu'"),
    ],
)
def test_exit_code_2_and_one_line_for_bad_input(
    words: list[str], message: str, folder: Path
) -> None:
    done = run(folder, "relax", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


def test_unknown_elements_are_named_before_any_work(folder: Path) -> None:
    atoms = oxygen_on_copper()
    atoms.symbols[-1] = "Zr"
    write(folder / "zr.traj", atoms)
    done = run(folder, "relax", "o_cu.traj", "zr.traj", *CHEAP)
    assert done.exit_code == 2
    assert "zr: " in done.stderr
    assert "lacks Zr" in done.stderr
    assert not (folder / "runs").exists()


def test_exit_code_3_where_the_parent_fails(folder: Path) -> None:
    (folder / "broken.py").write_text(
        "from ase.calculators.calculator import Calculator, CalculationFailed\n"
        "class Broken(Calculator):\n"
        "    implemented_properties = ['energy', 'forces']\n"
        "    def calculate(self, *args, **kwargs):\n"
        "        raise CalculationFailed('the electrons ran away')\n"
    )
    done = run(
        folder, "relax", "o_cu.traj", "--surrogate", "toy", "--parent", "ase:broken.py:Broken"
    )
    assert done.exit_code == 3
    assert "the electrons ran away" in done.stderr
    compared = run(
        folder, "compare", "o_cu.traj", "--surrogate", "toy", "--parent", "ase:broken.py:Broken"
    )
    assert compared.exit_code == 3
    assert "no: missing" in compared.stdout


def test_one_failure_does_not_end_a_batch(folder: Path) -> None:
    (folder / "moody.py").write_text(
        "from ase.calculators.emt import EMT\n"
        "class Moody(EMT):\n"
        "    def calculate(self, atoms, *args, **kwargs):\n"
        "        if atoms.positions[-1, 2] > 10:\n"
        "            raise RuntimeError('too high up')\n"
        "        super().calculate(atoms, *args, **kwargs)\n"
    )
    atoms = oxygen_on_copper()
    atoms.positions[-1, 2] = 10.4
    write(folder / "high.traj", atoms)
    words = ["high.traj", "o_cu.traj", "--surrogate", "ase:moody.py:Moody", "--parent", "emt"]
    done = run(folder, "relax", *words, "--json")
    assert done.exit_code == 3
    failed, relaxed = (json.loads(line) for line in done.stdout.splitlines())
    assert failed["error"] == "SurrogateError"
    assert "too high up" in failed["message"]
    assert relaxed["converged"]


def test_the_adsorbate_can_be_named_and_layers_fixed(folder: Path) -> None:
    bare = oxygen_on_copper()
    bare.set_constraint()
    bare.set_tags(0)
    write(folder / "bare.traj", bare)
    words = ["--adsorbate", "8", "--fix-layers", "1", "--json"]
    done = run(folder, "relax", "bare.traj", *CHEAP, *words)
    doc = json.loads(done.stdout)
    assert doc["integrity"] == "intact"
    assert [site["properties"]["tags"] for site in doc["structure"]["sites"]][-1] == 2
    wrong = run(folder, "relax", "bare.traj", *CHEAP, "--adsorbate", "last")
    assert wrong.exit_code == 2
    assert "--adsorbate is 'last' but must be like" in wrong.stderr


def test_an_engines_settings_can_be_given(folder: Path) -> None:
    words = ["--parent", "gpaw:cold", "--parent-args", '{"cutoff": 350}', "--dry-run"]
    spec = json.loads(run(folder, "relax", "o_cu.traj", *words).stdout)
    assert spec["parent"]["cutoff"] == 350
    assert spec["parent"]["continuation"]["value"] == "cold"


def test_a_store_without_a_place_for_data_is_refused_before_work(folder: Path) -> None:
    (folder / "jobflow.yaml").write_text("JOB_STORE:\n  docs_store:\n    type: MemoryStore\n")
    done = run(folder, "relax", "o_cu.traj", *CHEAP)
    assert done.exit_code == 3
    assert "no additional store `data`" in done.stderr
    assert not (folder / "runs").exists()
    assert "no additional store `data`" in run(folder, "doctor").stdout


def slow_parent(folder: Path) -> list[str]:
    (folder / "slow.py").write_text(
        "import time\n"
        "from ase.calculators.emt import EMT\n"
        "class Slow(EMT):\n"
        "    def calculate(self, *args, **kwargs):\n"
        "        time.sleep(0.5)\n"
        "        super().calculate(*args, **kwargs)\n"
    )
    return ["--surrogate", "toy", "--parent", "ase:slow.py:Slow", "--fmax", "0.05"]


def labels_on_disk(folder: Path) -> int:
    ledger = folder / "runs/o_cu/online" / LEDGER_NAME
    return len(ledger.read_text().splitlines()) - 1 if ledger.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "goes on where this one stopped"),
        pytest.param(signal.SIGTERM, 143, "", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_command_resumes(
    number: signal.Signals, code: int, words: str, folder: Path
) -> None:
    arguments = ["relax", "o_cu.traj", *slow_parent(folder), "--json"]
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    while labels_on_disk(folder) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert words in errors
    assert "Traceback" not in errors
    done = run(folder, *arguments)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["replayed_calls"] >= 2


@pytest.mark.slow
def test_on_a_terminal_progress_is_live(folder: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "relax", "o_cu.traj", *CHEAP],
        cwd=folder,
        env=environment(folder) | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            seen += chunk
        assert process.wait() == 0
    os.close(ours)
    assert b"asked for" in seen
    assert b"parent calls" in seen  # the status line
    assert b"\x1b[2K" in seen  # which is drawn over itself


def test_doctor_names_what_is_there_and_what_is_not(folder: Path) -> None:
    (folder / "settings.yaml").write_text("threads: 2\n")
    done = run(folder, "doctor")
    assert done.exit_code == 0
    for word in (
        "surrogate sevennet",
        "surrogate chgnet",
        "parent gpaw",
        "parent tblite",
        "VASP",
        "POTCARs",
        "store",
    ):
        assert word in done.stdout
    (folder / "settings.yaml").write_text("thread: 2\n")
    wrong = run(folder, "doctor")
    assert wrong.exit_code == 1
    assert "thread" in wrong.stdout
