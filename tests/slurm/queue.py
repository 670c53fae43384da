"""The batch jobs below one folder, whoever has submitted them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slurm.cluster import CONF, jobs_in


class Queue:
    """The batch jobs that run, or wait, in a folder or below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def jobs(self) -> list[tuple[str, Path]]:
        """Their ids, and where they run."""
        words = ["squeue", "--noheader", "--format=%A %Z"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found = [(job, Path(where)) for job, where in map(str.split, said.splitlines())]
        return [(job, where) for job, where in found if where.is_relative_to(self._folder)]

    def cancel(self, folder: Path) -> None:
        """End what runs in one folder, or below it, as a user does."""
        for job, where in self.jobs():
            if where.is_relative_to(folder):
                subprocess.run(["scancel", job], check=True)


@contextmanager
def queue_below(folder: Path) -> Iterator[Queue]:
    """The queue of a test, which is skipped where no cluster answers; no job is left after it."""
    with jobs_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", os.environ.get("SLURM_CONF", CONF))
        queue = Queue(folder)
        try:
            yield queue
        finally:
            queue.cancel(folder)
