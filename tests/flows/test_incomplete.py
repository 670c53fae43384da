"""A writer that is killed between a document and its trajectory."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finetuna_flows.errors import StoreError
from finetuna_flows.results.completeness import data_store, missing_parts
from finetuna_flows.results.dataframe import relaxations_dataframe
from finetuna_flows.results.export import export_structures
from finetuna_flows.results.find import relaxation_doc, relaxation_docs, relaxation_summaries
from finetuna_flows.results.loaded import loaded_ledger
from finetuna_flows.results.store import check_store, local_job_store
from finetuna_flows.results.study import comparisons
from tests.cli.test_query import run

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, *words: str) -> int:
    script = ROOT / "tests" / "fakes" / "killed_writer.py"
    command = [sys.executable, str(script), str(folder / "st"), str(folder / "runs"), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("killed")
    assert write(folder, "kill") == -signal.SIGKILL
    return folder


def test_it_is_told_as_incomplete(killed: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = local_job_store(killed / "st")
    check_store(store)
    (summary,) = relaxation_summaries(store)
    assert not summary.complete
    assert relaxations_dataframe(store)["complete"].tolist() == [False]
    listed = run(killed / "st", "list")
    assert "incomplete" in " ".join(listed.stdout.split())
    assert json.loads(run(killed / "st", "list", "--json").stdout)["complete"] is False
    shown = run(killed / "st", "show", summary.uuid[:8])
    assert shown.exit_code == 0
    assert "incomplete: trajectory and ledger are missing" in shown.stdout
    with pytest.raises(StoreError, match="run again, writes it anew"):
        relaxation_doc(store, summary.uuid, load=True)
    with caplog.at_level(logging.WARNING):
        assert list(relaxation_docs(store, load=True, skip_incomplete=True)) == []
    assert "is passed over: its trajectory and ledger are missing" in caplog.text
    with pytest.raises(ValueError, match=r"nothing in .* matches"):
        export_structures(store, killed / "labels.extxyz", labels=True)
    store.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped


def test_it_is_not_compared(killed: Path) -> None:
    store = local_job_store(killed / "st")
    check_store(store)
    assert comparisons(store, "BFGS") == []
    store.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped


def test_the_next_run_of_the_same_job_completes_it(killed: Path, tmp_path: Path) -> None:
    """It replays the labels of the first, and takes the place of what that left."""
    store = local_job_store(killed / "st")
    check_store(store)
    (before,) = relaxation_summaries(store)
    assert write(killed) == 0
    (after,) = relaxation_summaries(store)
    assert after.complete
    assert after.uuid != before.uuid
    assert after.energy == before.energy
    assert after.replayed_calls == after.parent_calls == before.parent_calls
    doc = relaxation_doc(store, after.uuid, load=True)
    assert len(loaded_ledger(doc)) == after.parent_calls
    assert missing_parts(doc.model_dump(), data_store(store)) == ()
    (compared,) = comparisons(store, "BFGS")
    assert compared.row("BFGS").uuid == after.uuid
    store.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped
