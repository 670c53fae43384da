"""From the published files to table and report, as a user types it."""

from __future__ import annotations

import csv
import json
import os
from contextlib import chdir
from io import StringIO
from pathlib import Path
from statistics import fmean

import pytest
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app

DATA = Path(__file__).parents[3] / "shared" / "data" / "finetuna"
SYSTEMS = ("1135151", "1979576", "2500909")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.exists(), reason=f"no published data in {DATA}"),
]


def run(folder: Path, *words: str) -> Result:
    environ = os.environ | {
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, [*words, "--store", "st"], env=environ)


def test_import_compare_report(tmp_path: Path) -> None:
    starts = DATA / "initial_structures.extxyz"
    imported = run(tmp_path, "import", str(DATA / "authors_layout"), "--initial", str(starts))
    assert imported.exit_code == 0, imported.stderr

    compared = run(tmp_path, "compare", "--table", "--format", "csv")
    rows = {row["method"]: row for row in csv.DictReader(StringIO(compared.stdout))}
    table = json.loads((DATA / "reference_table.json").read_text())
    assert rows.keys() == table[SYSTEMS[0]].keys()
    for method, row in rows.items():
        known = [table[system][method] for system in SYSTEMS]
        assert row["parent_calls_percent_n"] == "3"
        assert float(row["parent_calls_mean"]) == pytest.approx(
            fmean(each["dft_calls"] for each in known)
        )
        percent = fmean(each["pct_of_cg"] for each in known)
        assert float(row["parent_calls_percent"]) == pytest.approx(percent, abs=5e-3)
        passing = fmean(100 * (each["e_minus_cg"] <= 0.02) for each in known)
        assert float(row["success_percent"]) == pytest.approx(passing)

    reported = run(tmp_path, "report", "published.html")
    assert (reported.exit_code, reported.stderr) == (0, "")
    assert "15 relaxations of 3 systems, against VASP_CG" in reported.stdout
    page = (tmp_path / "published.html").read_text()
    assert "random1979576" in page
    assert "http://" not in page
    assert "https://" not in page
