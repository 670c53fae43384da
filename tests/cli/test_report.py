"""``finetuna-flows report``, judged by what it says and by the file."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.flows.keeping import keep
from finetuna_flows.results.store import local_job_store
from tests.results.report_blocks import Blocks
from tests.results.reports import few


def run(folder: Path, *words: str) -> Result:
    environ = os.environ | {
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "st"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, ["report", *words], env=environ)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("campaign")
    store = local_job_store(made / "st")
    store.connect()
    for doc in few()[0]:
        keep(doc).run(store=store)
    return made


def test_a_report_says_where_it_is_and_replaces_an_older_one(folder: Path) -> None:
    (folder / "report.html").write_text("before")
    done = run(folder, "--title", "My study")
    assert done.exit_code == 0, done.stderr
    file = folder / "report.html"
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    assert f"report.html: 11 relaxations of 5 systems, against BFGS, {size}" in done.stdout
    assert f"open it in a browser: {file.resolve().as_uri()}" in done.stdout
    held = Blocks(file.read_text(encoding="utf-8"))
    assert held.study["title"] == "My study"
    assert held.study["count"] == "frames"


def test_options_reach_the_report(folder: Path) -> None:
    words = ["other.html", "--no-details", "--count", "frames-1", "--reference", "fast"]
    done = run(folder, *words)
    assert done.exit_code == 0, done.stderr
    held = Blocks((folder / "other.html").read_text(encoding="utf-8"))
    assert (held.study["reference"], held.study["count"]) == ("fast", "frames-1")
    assert not held.study["detailed"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--reference", "VASP CG"], 3, "there are"),
        (["--tag", "unknown"], 3, "no relaxation"),
        (["missing/r.html"], 2, "must be a file in a folder that exists"),
        (["--count", "all"], 2, "frames-1"),
    ],
)
def test_a_report_refuses(folder: Path, words: list[str], code: int, said: str) -> None:
    done = run(folder, *words)
    assert done.exit_code == code
    assert said in done.stderr
