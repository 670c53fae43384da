"""``list``, ``show`` and ``export`` on a store with a few relaxations."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import ase.io
import pytest
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.cli.filters import OPTIONS
from finetuna_flows.results.filters import Filters
from tests.results.kept import filled_store


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("query")
    filled_store(folder)
    return folder


def run(stored: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [words[0], "--store", str(stored), *words[1:]])


def names(stored: Path, *words: str) -> list[str]:
    done = run(stored, "list", "--json", *words)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line)["name"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["nothing", "water", "ASE BFGS", "fast"]),
        (["--formula", "O2H4"], ["water"]),
        (["--chemsys", "O-Cu", "--converged"], ["ASE BFGS", "fast"]),
        (["--element", "O", "--element", "H"], ["water"]),
        (["--adsorbate", "*OCH3"], ["water"]),
        (["--system", "random1", "--name", "fast"], ["fast"]),
        (["--method", "BFGS"], ["water", "ASE BFGS"]),
        (["--parent-mode", "cold"], ["ASE BFGS"]),
        (["--level-of-theory", "EMT", "--unconverged"], ["nothing", "water"]),
        (["--integrity", "desorbed"], ["water"]),
        (["--stop-reason", "max_wall_time"], ["nothing"]),
        (["--max-fmax", "0.1"], ["ASE BFGS", "fast"]),
        (["--min-fmax", "0.1"], ["water"]),
        (["--tag", "paper"], ["water", "fast"]),
        (["--since", "2026-11-02", "--until", "2026-11-04"], ["water", "ASE BFGS"]),
        (["--sort", "completed_at", "--limit", "1"], ["fast"]),
        (["--sort", "-fmax", "--limit", "1"], ["water"]),
        (["--skip", "1", "--limit", "2"], ["water", "ASE BFGS"]),
    ],
)
def test_list_narrows_down_and_sorts(stored: Path, words: list[str], found: list[str]) -> None:
    assert names(stored, *words) == found


def test_every_filter_is_an_option() -> None:
    assert OPTIONS.keys() == Filters.__annotations__.keys()


def test_dates_are_of_the_local_time_zone(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noon of the second of November in UTC is two in the night of the third east of there."""
    monkeypatch.setenv("TZ", "Etc/GMT-14")
    time.tzset()
    try:
        assert names(stored, "--since", "2026-11-03", "--until", "2026-11-03T03:00") == ["ASE BFGS"]
        assert names(stored, "--since", "2026-11-03T02:01", "--limit", "9")[-1] == "water"
    finally:
        monkeypatch.undo()
        time.tzset()
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC).astimezone()
    assert names(stored, "--since", f"{noon:%Y-%m-%d %H:%M}")[-1] == "ASE BFGS"


def test_list_shows_what_tells_relaxations_apart(stored: Path) -> None:
    lines = run(stored, "list").stdout.splitlines()
    assert lines[0].split() == [
        *("uuid", "system", "formula", "adsorbate", "name", "converged"),
        *("calls", "energy/eV", "fmax", "completed"),
    ]
    fast = next(line.split() for line in lines if "fast" in line)
    assert fast[1:6] == ["random1", "Cu8O", "O", "fast", "yes"]
    assert fast[-1] == "2026-11-01"
    nothing = next(line for line in lines if "nothing" in line)
    assert "no: max_wall_time" in nothing
    assert all(len(line) <= 120 for line in lines)


def test_nothing_found_is_said(stored: Path) -> None:
    done = run(stored, "list", "--name", "nobody")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no such relaxation is in JobStore-sqlite://" in done.stderr


def test_count_prints_a_number(stored: Path) -> None:
    assert run(stored, "list", "--count").stdout == "4\n"
    assert run(stored, "list", "--count", "--chemsys", "Cu-O", "--tag", "paper").stdout == "1\n"


def test_show_takes_several(stored: Path) -> None:
    lines = run(stored, "list", "--json", "--system", "random1").stdout.splitlines()
    uuids = [json.loads(line)["uuid"] for line in lines]
    shown = run(stored, "show", *(uuid[:8] for uuid in uuids))
    assert shown.exit_code == 0, shown.stderr
    for words in (*uuids, "system: random1", "adsorbate: O", "tags: paper, day 1"):
        assert words in shown.stdout
    assert "converged: yes, the parent's own forces are below the threshold" in shown.stdout
    docs = [json.loads(line) for line in run(stored, "show", "--json", *uuids).stdout.splitlines()]
    assert [doc["uuid"] for doc in docs] == uuids
    assert all(doc["trajectory"]["positions"] for doc in docs)


def test_show_cuts_nothing_on_a_narrow_terminal(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (doc,) = map(json.loads, run(stored, "list", "--name", "fast", "--json").stdout.splitlines())
    shown = run(stored, "show", doc["uuid"]).stdout
    assert f"energy: {doc['energy']:.4f} eV" in shown
    assert f"parent calls: {doc['parent_calls']}" in shown


def test_export_writes_what_list_finds(stored: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    done = run(stored, "export", "--tag", "paper", "-o", str(table))
    assert done.exit_code == 0, done.stderr
    assert "table.jsonl: 2 relaxations" in done.stderr
    assert table.read_text() == run(stored, "list", "--json", "--tag", "paper").stdout
    frames = tmp_path / "frames"
    done = run(stored, "export", "--labels", "--format", "extxyz", "-o", str(frames))
    assert done.exit_code == 0, done.stderr
    assert "structures of 4 relaxations (1 without an answer of the parent" in done.stderr
    assert len(ase.io.read(frames, ":", format="extxyz")) > 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "--formula", "foo"], "formula is 'foo' but must be one as CuO2"),
        (["list", "--sort", "colour"], "`sort` is 'colour' but must be one of completed_at"),
        (["list", "--since", "yesterday"], "'yesterday' does not match the formats"),
        (["list", "--integrity", "fine"], "'fine' is not one of 'intact'"),
        (
            ["export", "-o", "table.csv", "--labels"],
            "--labels is of structures but the file is csv",
        ),
        (["export", "-o", "table.doc"], "ends in '.doc'"),
        (["export", "-o", "mine.csv"], "mine.csv is there already"),
        (["export", "-o", "new.csv", "--name", "nobody"], "nothing in"),
    ],
)
def test_bad_input_is_refused(
    words: list[str], message: str, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("mine")
    done = run(stored, *words)
    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["mine.csv"]
    assert Path("mine.csv").read_text() == "mine"


def test_export_replaces_by_force(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "final.db"
    path.write_text("mine")
    done = run(stored, "export", "-o", str(path), "--force", "--converged")
    assert done.exit_code == 0, done.stderr
    assert len(ase.io.read(path, ":")) == 2
