"""The interactive parent as a step of a job: what stops, goes on and ends its ranks."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetuna_flows.processes.tree import ProcessState, environment, read_state
from tests.slurm.cluster import Jobs, jobs_in, python, wait_until
from tests.vasp import COMMAND, running_below

pytestmark = pytest.mark.slurm

RANKS = 2
PAUSES = """
import json, time
from dataclasses import asdict
from pathlib import Path

from finetuna_flows.parents.specs import VaspParentSpec
from tests.contracts.parent import ParentContract, shaken

seen = []
with VaspParentSpec().build() as parent:
    for seed in range(3):
        parent.label(shaken(ParentContract.geometry(), seed=seed))
        parent.rest()
        for _ in range(2):
            seen.append([asdict(each) for each in parent._session._run.ranks.find()])
            time.sleep(0.2)
Path("seen.json").write_text(json.dumps(seen))
"""
OWNER = """
import sys, time
from pathlib import Path

from finetuna_flows.parents.specs import VaspParentSpec
from tests.contracts.parent import ParentContract

with VaspParentSpec().build() as parent:
    parent.label(ParentContract.geometry())
    if sys.argv[1] == "paused":
        parent.rest()
    Path("rests").touch()
    time.sleep(60)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as those:
        yield those


def submit(jobs: Jobs, script: str, code: str) -> int:
    (jobs.folder / "code.py").write_text(code)
    variables = {
        "VASP_COMMAND": f"srun --overlap --exact -u -n {RANKS} {COMMAND}",
        "FINETUNA_FLOWS_VASP_PAUSE": "yes",
    }
    return jobs.submit(script, "cpu", f"--ntasks={RANKS}", **variables)


def ranks_below(folder: Path) -> list[ProcessState]:
    """Processes that belong to a step, not to the batch script."""
    pids = [pid for pid in running_below(folder) if b"SLURM_STEP_ID=0" in environment(pid)]
    return [each for each in map(read_state, pids) if each is not None]


def test_scancel_stops_the_ranks_and_lets_them_go_on(jobs: Jobs) -> None:
    real = shutil.which("scancel")
    noted = jobs.folder / "scancel"
    noted.write_text(f'#!/bin/sh\necho "$@" >> {jobs.folder}/said\nexec {real} "$@"\n')
    noted.chmod(0o755)
    script = f'PATH="{jobs.folder}:$PATH"; {python(jobs.folder / "code.py")}'
    job = submit(jobs, script, PAUSES)
    jobs.wait(job, {"COMPLETED"}, 50)
    seen = json.loads((jobs.folder / "seen.json").read_text())
    assert [[rank["state"] for rank in ranks] for ranks in seen] == [["T"] * RANKS] * 6
    used = [[rank["cpu"] for rank in ranks] for ranks in seen]
    assert used[::2] == used[1::2]
    assert sum(used[0]) < sum(used[2]) < sum(used[4])
    said = (jobs.folder / "said").read_text().splitlines()
    assert said == [f"--signal={name} {job}.0" for name in ("STOP", "CONT") * 3]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_killed_owner_leaves_no_rank_in_a_job_that_goes_on(jobs: Jobs, state: str) -> None:
    owner = python(jobs.folder / "code.py", state)
    job = submit(jobs, f"{owner} & echo $! > owner; wait; touch ended; sleep 60", OWNER)
    wait_until(lambda: (jobs.folder / "rests").exists(), 40, f"no label; {jobs.said(job)}")
    ranks = ranks_below(jobs.folder)
    assert len(ranks) == RANKS
    assert ({each.state for each in ranks} == {"T"}) is (state == "paused")
    os.kill(int((jobs.folder / "owner").read_text()), signal.SIGKILL)
    wait_until(lambda: not running_below(jobs.folder), 20, "something goes on")
    assert (jobs.folder / "ended").exists()
    assert jobs.state(job) == "RUNNING"


def test_a_cancelled_job_leaves_no_rank_though_they_are_paused(jobs: Jobs) -> None:
    job = submit(jobs, f"exec {python(jobs.folder / 'code.py', 'paused')}", OWNER)
    wait_until(lambda: (jobs.folder / "rests").exists(), 40, f"no label; {jobs.said(job)}")
    jobs.cancel(job)
    wait_until(lambda: not jobs.left(), jobs.kill_wait + 10, "the job goes on")
    assert jobs.processes() == []
