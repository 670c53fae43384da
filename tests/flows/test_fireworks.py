"""The flows run under FireWorks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetuna_flows.results.find import relaxation_summaries
from finetuna_flows.results.store import local_job_store

pytest.importorskip("fireworks", reason="needs the extra `fireworks`")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_rapidfire_completes_a_comparison(tmp_path: Path) -> None:
    database = tmp_path / "database.json"
    database.write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.fireworks_run", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"MONGOMOCK_SERVERSTORE_FILE": str(database)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    store = local_job_store(tmp_path / "store")
    store.connect()
    assert {each.method for each in relaxation_summaries(store)} == {"online", "BFGS"}
    assert store.count({"output.reference_method": "BFGS"}) == 1
