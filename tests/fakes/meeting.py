"""Jobs that end only if another runs at the same time, for tests of workflow engines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobConfig, job

LOOK = 0.02
"""Seconds between looks for the other."""
APART = {"learner": "gpu", "parent": "cpu"}
TOGETHER = {"learner": "cpu", "parent": "cpu"}


def meet(own: str, other: str, folder: str, patience: float) -> Job:
    """Make a job with the name `own`; see `wait_for_other`."""
    made: Job = wait_for_other(own, other, folder, patience)
    made.name = own
    return made


@job
def wait_for_other(own: str, other: str, folder: str, patience: float) -> dict[str, Any]:
    """Leave a file in a shared folder and wait for the other's.

    Parameters
    ----------
    patience
        Seconds.

    Raises
    ------
    TimeoutError
        If nobody comes.
    """
    here = Path.cwd()
    found = sorted(each.name for each in here.iterdir())
    (here / "came").touch()
    (Path(folder) / own).write_text(str(here))
    deadline = time.monotonic() + patience
    while not (Path(folder) / other).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"`{other}` did not come within {patience:g} s")
        time.sleep(LOOK)
    return {"met": other, "directory": str(here), "found": found}


def meeting(folder: Path, patience: float = 30.0, workers: Mapping[str, str] = APART) -> Flow:
    """Two jobs without an edge between them, each with the worker that it is to run on.

    jobflow-remote reads ``worker``, FireWorks ``_category``; neither minds the other's word.
    """
    folder.mkdir(exist_ok=True)
    twins: list[Flow | Job] = []
    for own, other in (("learner", "parent"), ("parent", "learner")):
        job = meet(own, other, str(folder), patience)
        job.config = JobConfig(manager_config={"worker": workers[own], "_category": workers[own]})
        twins.append(job)
    return Flow(twins, name="meeting")
