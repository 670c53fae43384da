"""A run that is killed at random moments loses nothing and asks nothing twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from tests.fakes.slow_relaxation import geometry_key
from tests.relaxation.parts import METHODS
from tests.systems import oxygen_on_copper

KILLS = 10
ROOT = Path(__file__).resolve().parents[2]


def start(method: str, directory: Path) -> subprocess.Popen[bytes]:
    (directory / "ready").unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.slow_relaxation", method, str(directory)], cwd=ROOT
    )


def labelled(directory: Path) -> list[str]:
    """The geometries that the ledger holds whole records of."""
    keys = []
    for line in (directory / LEDGER_NAME).read_bytes().splitlines(keepends=True)[1:]:
        if line.endswith(b"\n"):
            steps = json.loads(line)["body"]["steps"]
            keys += [geometry_key(step["positions"]) for step in steps if step["label"]]
    return keys


def asked(directory: Path) -> list[str]:
    return (directory / "asked.txt").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_ten_kills_lose_nothing(method: str, tmp_path: Path) -> None:
    rng = random.Random(20)
    for _ in range(KILLS):
        known = labelled(tmp_path) if (tmp_path / LEDGER_NAME).exists() else []
        before = len(asked(tmp_path)) if (tmp_path / "asked.txt").exists() else 0
        process = start(method, tmp_path)
        while process.poll() is None and not (tmp_path / "ready").exists():
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        process.wait()
        assert not set(known) & set(asked(tmp_path)[before:])
        assert labelled(tmp_path)[: len(known)] == known
    last = start(method, tmp_path)
    assert last.wait() == 0
    assert len(set(labelled(tmp_path))) == len(labelled(tmp_path))

    resumed = METHODS[method](oxygen_on_copper(), tmp_path)
    whole = METHODS[method](oxygen_on_copper(), tmp_path / "whole")
    assert resumed.converged
    assert resumed.parent_calls == whole.parent_calls == len(labelled(tmp_path))
    np.testing.assert_allclose(resumed.final.positions, whole.final.positions, rtol=0, atol=1e-5)
    assert resumed.energy == pytest.approx(whole.energy, abs=1e-7)  # EMT's neighbour list
