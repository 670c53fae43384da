"""``finetuna-flows compare --table``: of what a store holds, and of what was just compared."""

from __future__ import annotations

import csv
import json
import os
from contextlib import chdir
from io import StringIO
from pathlib import Path

import pytest
from ase.io import write
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.cli.study_tables import print_tables
from finetuna_flows.flows.keeping import keep
from finetuna_flows.results.store import local_job_store
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.study import study_of
from tests.results.studies import Run, relaxation, three_systems
from tests.systems import oxygen_on_copper

CHEAP = ["--surrogate", "toy", "--parent", "emt", "--fmax", "0.05"]
CAMPAIGN = (
    {"VASP CG": Run(100), "BFGS": Run(50), "fast": Run(10)},
    {"VASP CG": Run(60), "BFGS": Run(45), "fast": Run(9, 0.5, away=2.0)},
    {"VASP CG": Run(80), "fast": Run(4)},
)


def run(folder: Path, *words: str) -> Result:
    environ = os.environ | {
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "default"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environ)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three systems; one of them is tagged."""
    folder = tmp_path_factory.mktemp("campaign")
    store = local_job_store(folder / "st")
    store.connect()
    for index, runs in enumerate(CAMPAIGN):
        for method, each in runs.items():
            doc = relaxation(method, each, f"s{index}", index)
            tags = ("paper",) if index == 0 else ()
            keep(doc.model_copy(update={"tags": tags})).run(store=store)
    store.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped
    return folder


def table(campaign: Path, *words: str) -> str:
    done = run(campaign, "compare", "--table", "--store", "st", *words)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def rows(campaign: Path, *words: str) -> dict[str, dict[str, str]]:
    text = table(campaign, "--format", "csv", *words)
    return {row["method"]: row for row in csv.DictReader(StringIO(text))}


def test_a_store_is_compared_with_vasp_cg(campaign: Path) -> None:
    text = table(campaign)
    assert "3 systems relative to VASP CG" in text
    (first, *_) = (line.split() for line in text.splitlines() if line.startswith(" fast"))
    assert first[1:5] == ["3", "10.0", "±", "2.9"]  # of 10, 15 and 5 %
    assert "No relaxation by BFGS: s2." in text
    assert "another minimum" in text
    assert "in words" not in text
    assert max(map(cell_len, text.splitlines())) <= 120


def test_reference_methods_count_and_tag_can_be_said(campaign: Path) -> None:
    assert list(rows(campaign)) == ["VASP CG", "BFGS", "fast"]
    assert list(rows(campaign, "--methods", "fast, VASP CG")) == ["VASP CG", "fast"]
    against_bfgs = rows(campaign, "--reference", "BFGS")["fast"]
    assert float(against_bfgs["parent_calls_percent"]) == pytest.approx(20.0)
    assert against_bfgs["reference"] == "BFGS"
    fewer = rows(campaign, "--count", "frames-1", "--tag", "paper")["fast"]
    assert float(fewer["parent_calls_percent"]) == pytest.approx(900 / 99)
    assert (fewer["count"], fewer["systems_n"]) == ("frames-1", "1")


def test_pairs_and_systems_are_added(campaign: Path) -> None:
    text = table(campaign, "--pairs", "--systems", "--format", "markdown")
    assert "| fast − BFGS | 2 |" in text
    assert "too few systems" in text
    assert "| s1 | 60 | 45 (75)" in text
    held = json.loads(table(campaign, "--against", "BFGS", "--format", "json"))
    assert [each["second"] for each in held["pairs"]] == ["BFGS", "BFGS"]
    assert "systems" not in held
    assert "methods" in held
    single = csv.DictReader(StringIO(table(campaign, "--systems", "--format", "csv")))
    assert [row["system"] for row in single].count("s0") == 3


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_a_file_holds_what_would_be_printed(form: str, campaign: Path) -> None:
    printed = table(campaign, "--format", form)
    assert table(campaign, "--format", form, "--output", f"out.{form}") == ""
    assert (campaign / f"out.{form}").read_text(encoding="utf-8") == printed


@pytest.mark.parametrize(
    ("name", "form"),
    [("t.md", "markdown"), ("t.tex", "latex"), ("t.CSV", "csv"), ("t.out", "text")],
)
def test_a_files_name_says_its_format(name: str, form: str, campaign: Path) -> None:
    assert table(campaign, "--output", name) == ""
    assert (campaign / name).read_text() == table(campaign, "--format", form)


@pytest.mark.parametrize("words", [["--against", "slow"], ["--methods", "slow"]])
def test_what_is_refused_leaves_the_file_as_it_was(words: list[str], campaign: Path) -> None:
    kept_file = campaign / "kept.txt"
    kept_file.write_text("of last week")
    done = run(campaign, "compare", "--table", "--store", "st", *words, "--output", "kept.txt")
    assert done.exit_code == 2
    assert "'slow'" in done.stderr
    assert kept_file.read_text() == "of last week"


def test_a_file_that_cannot_be_written_is_told_in_one_line(campaign: Path) -> None:
    name = f"{'x' * 250}.txt"  # with what is put around it, longer than names of files may be
    done = run(campaign, "compare", "--table", "--store", "st", "--output", name)
    assert done.exit_code == 3
    assert f"--output is {name} but cannot be written: File name too long" in done.stderr
    chosen, error = done.stderr.splitlines()
    assert chosen == "measured against VASP CG; --reference names another"
    assert error.startswith("error: ")
    assert not list(campaign.glob(".*.part"))


def test_a_table_goes_where_a_link_points_and_into_a_device(campaign: Path) -> None:
    (campaign / "link.md").symlink_to("target.md")
    printed = table(campaign, "--format", "markdown")
    assert table(campaign, "--format", "markdown", "--output", "link.md") == ""
    assert (campaign / "link.md").is_symlink()
    assert (campaign / "target.md").read_text(encoding="utf-8") == printed
    assert table(campaign, "--output", os.devnull) == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pairs"], "--pairs belongs to --table; add it"),
        (["--format", "json"], "--format belongs to --table; add it"),
        (["--table", "--surrogate", "toy"], "--surrogate is of a run, but with --table and"),
        (["--table", "--json"], "say --format json instead"),
        (["--table", "--tag", "a", "--tag", "b"], "--tag is a, b but a study of the store"),
        (["--table", "--output", "no/such/file"], "must be in a folder that exists"),
        (["--table", "--output", "."], "--output is . but must be a file"),
        (["--table", "--format", "csv", "--pairs", "--systems"], "pairs and systems are wanted"),
        (["--table", "--methods", "slow", "--store", "st"], "names 'slow' but these"),
        (["--table", "--methods", "", "--store", "st"], "--methods is '' but must be names"),
        (["o.traj", "--methods", "BFGS, "], "--methods is 'BFGS, ' but must be names"),
        (["--table", "--against", "slow", "--store", "st"], "--against is 'slow' but must be"),
    ],
)
def test_exit_code_2_where_options_do_not_fit(
    words: list[str], message: str, campaign: Path
) -> None:
    done = run(campaign, "compare", *words)
    assert done.exit_code == 2, done.stderr
    assert message in done.stderr


def test_exit_code_3_where_there_is_nothing_to_compare(campaign: Path) -> None:
    done = run(campaign, "compare", "--table", "--store", "st", "--reference", "CG")
    assert done.exit_code == 3
    assert "named 'CG'; there are BFGS, VASP CG, fast" in done.stderr
    empty = run(campaign, "compare", "--table", "--store", "empty")
    assert empty.exit_code == 3
    assert "no relaxation is in" in empty.stderr


def test_what_was_just_compared_is_one_table(tmp_path: Path) -> None:
    for name, shift in (("one", 0.0), ("two", 0.2)):
        atoms = oxygen_on_copper()
        atoms.positions[-1, 0] += shift
        write(tmp_path / f"{name}.traj", atoms)
    words = ["compare", "one.traj", "two.traj", *CHEAP, "--table"]
    refused = run(tmp_path, *words, "--against", "magic")
    assert refused.exit_code == 2
    assert "--against is 'magic' but must be one of online, BFGS" in refused.stderr
    assert not (tmp_path / "runs").exists()
    done = run(tmp_path, *words, "--format", "csv", "--systems")
    assert done.exit_code == 0, done.stderr
    found = list(csv.DictReader(StringIO(done.stdout)))
    assert [(row["system"], row["method"]) for row in found] == [
        (system, method) for system in ("one", "two") for method in ("BFGS", "online")
    ]
    assert all(float(row["wall_time_s"]) > 0 for row in found)
    again = run(tmp_path, "compare", "--table", "--format", "json", "--systems")
    stored = json.loads(again.stdout)["systems"]
    assert [row["parent_calls"] for row in stored] == [int(row["parent_calls"]) for row in found]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_on_a_narrow_terminal_no_digit_is_lost(width: int) -> None:
    tables = StudyTables(study_of(three_systems()), tuple(Part)).texts
    out = StringIO()
    print_tables(Console(file=out, width=width), tables)
    printed = out.getvalue()
    assert max(map(cell_len, printed.splitlines())) <= width
    assert "…" not in printed
    for cell in (cell for each in tables for row in each.rows for cell in row):
        # what is wider than the terminal is wrapped between its words
        parts = [cell] if cell_len(cell) < width / 2 else cell.split()
        assert all(part in printed for part in parts)
