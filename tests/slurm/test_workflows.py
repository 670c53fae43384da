"""The batch files that users copy run on a cluster, and go on when they are submitted again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_until
from tests.slurm.queue import Queue, queue_below
from tests.vasp import COMMAND, running_below

pytestmark = pytest.mark.slurm

WORKFLOWS = Path(__file__).parents[2] / "workflows"
FILES = sorted(path.name for path in (WORKFLOWS / "slurm").iterdir())
EXAMPLE = WORKFLOWS / "structures" / "O_on_Al111.extxyz"
WORDS = (str(EXAMPLE), "--surrogate", "nuclear", "--json")
RANKS = 2


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setenv("VASP", COMMAND)
    monkeypatch.setenv("FINETUNA_FLOWS_STORE_PATH", str(tmp_path / "store"))
    with queue_below(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The batch files as a user leaves them, for a small cluster."""
    answers = {
        "/YOUR_ENVIRONMENT": sys.prefix,
        "/YOUR_FOLDER": str(tmp_path),
        "YOUR_ACCOUNT": "chemistry",
        "YOUR_GPU_PARTITION": "gpu",
        "YOUR_CPU_PARTITION": "cpu",
    }
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name in FILES:
        text = (WORKFLOWS / "slurm" / name).read_text()
        for placeholder, answer in answers.items():
            text = text.replace(placeholder, answer)
        assert "YOUR_" not in text
        (folder / name).write_text(re.sub(r"--ntasks=(16|32)", f"--ntasks={RANKS}", text))
    return folder


def submit_and_wait(queue: Queue, folder: Path, *words: str) -> str:
    """What all jobs have printed in the end."""
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: not queue.jobs(), 90, f"{queue.jobs()} go on")
    outputs = sorted(folder.glob("slurm-*.out"))
    said = "".join(path.read_text() for path in outputs)
    for path in outputs:
        path.unlink()
    assert running_below(folder) == []
    return said


def document(said: str) -> dict[str, object]:
    """The one that a relaxation printed."""
    (line,) = (line for line in said.splitlines() if line.startswith("{"))
    found: dict[str, object] = json.loads(line)
    return found


def labels(said: str) -> tuple[int, int]:
    """Those that a parent sent, and those among them that it knew."""
    sent = re.search(r"(\d+) labels sent, (\d+) of them computed before", said)
    assert sent is not None, said
    return int(sent[1]), int(sent[2])


def test_learner_and_vasp_share_a_job(tmp_path: Path, queue: Queue, filled: Path) -> None:
    first, second = (
        document(submit_and_wait(queue, tmp_path, "sbatch", f"{filled}/one_job.sbatch", *WORDS))
        for _ in range(2)
    )
    assert first["converged"]
    assert "stand-in" in str(first["level_of_theory"])
    assert first["replayed_calls"] == 0
    assert second["replayed_calls"] == second["parent_calls"] == first["parent_calls"]


def test_twins_are_submitted_together(tmp_path: Path, queue: Queue, filled: Path) -> None:
    words = ("bash", f"{filled}/submit_twins.sh", "a_pair", *WORDS)
    said = submit_and_wait(queue, tmp_path, *words)
    relaxed = document(said)
    assert relaxed["converged"]
    assert labels(said) == (relaxed["parent_calls"], 0)
    assert f"{relaxed['scf_cycles']} SCF cycles" in said
    assert list((tmp_path / "rendezvous").iterdir()) == []

    shutil.rmtree(next((tmp_path / "runs" / "a_pair").glob("*/online")))  # what the learner had
    said = submit_and_wait(queue, tmp_path, *words)
    assert document(said)["parent_calls"] == relaxed["parent_calls"]
    assert labels(said) == (relaxed["parent_calls"], relaxed["parent_calls"])
