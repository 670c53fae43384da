"""Jobs of one test on the SLURM cluster that `make slurm-up` starts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path

import pytest

from tests.vasp import running_below

CONF = "/tmp/finetuna_slurm/slurm.conf"
"""Of the cluster that `up.sh` starts where nothing else is said."""
ROOT = Path(__file__).parents[2]
PATIENCE = 10.0
"""Seconds for SLURM to answer."""
ENDED = frozenset({"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"})
USABLE = frozenset({"idle", "mix", "alloc", "comp"})
"""States of a node."""


class Jobs:
    """Submits jobs that run in one folder, and knows them.

    Parameters
    ----------
    folder
        Where they run, in ``jobs``; what job 7 says goes to ``7.out`` there.
    conf
        The cluster's configuration.
    """

    def __init__(self, folder: Path, conf: str) -> None:
        self.folder = folder / "jobs"
        """Their working directory."""
        self.folder.mkdir()
        self._variables = {**os.environ, "SLURM_CONF": conf, "PYTHONPATH": str(ROOT)}
        self._submitted: list[int] = []

    def submit(self, script: str, partition: str, *options: str, **variables: str) -> int:
        """Submit a batch script, or the lines of one in ``sh``; the job's id."""
        text = script if script.startswith("#!") else f"#!/bin/sh\n{script}\n"
        words = ["sbatch", "--parsable", f"--partition={partition}", "--output=%j.out", *options]
        job = int(self._ask(words, text, variables).partition(";")[0])
        self._submitted.append(job)
        return job

    def state(self, job: int) -> str:
        """SLURM's word: ``PENDING``, ``RUNNING``, ``COMPLETING``, ``COMPLETED``…"""
        words = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
        return self._ask(words).strip()

    def wait(self, job: int, states: Collection[str], deadline: float) -> str:
        """Wait until a job is in one of `states`; which it is.

        Raises
        ------
        AssertionError
            If it is not after `deadline` seconds, or has ended in another.
        """
        end = time.monotonic() + deadline
        while (state := self.state(job)) not in states:
            said = self.said(job)
            assert state not in ENDED, f"job {job} is {state} and has said: {said}"
            assert time.monotonic() < end, f"after {deadline:g} s job {job} is {state}: {said}"
            time.sleep(0.05)
        return state

    def cancel(self, *jobs: int, options: Collection[str] = ()) -> None:
        """Cancel jobs, or what `options` of ``scancel`` make of it."""
        self._ask(["scancel", *options, *map(str, jobs)])

    def said(self, job: int) -> str:
        """What a job has printed so far."""
        path = self.folder / f"{job}.out"
        return path.read_text() if path.exists() else ""

    @cached_property
    def kill_wait(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        said = self._ask(["scontrol", "show", "config"])
        return float(re.search(r"^KillWait\s*=\s*(\d+) sec", said, re.MULTILINE)[1])  # type: ignore[index]

    def has_step(self, job: int) -> bool:
        """Whether a step runs that `srun` has started."""
        words = ["squeue", "--noheader", "--steps", f"--jobs={job}", "--format=%i"]
        return f"{job}.0" in self._ask(words).split()

    def left(self) -> list[int]:
        """Those of this test that wait, run, or are being cleared away."""
        words = ["squeue", "--noheader", "--format=%A"]
        known = {int(word) for word in self._ask(words).split()}
        return [job for job in self._submitted if job in known]

    def clear(self) -> None:
        """Cancel what is left, without the time that a cancelled job has to end by itself.

        Raises
        ------
        AssertionError
            If a job does not end, or one that had ended has left a process behind.
        """

        def are_gone() -> bool:
            self.kill()
            return not self.left()

        if left := self.left():
            self.cancel(*left)
            wait_until(are_gone, PATIENCE, "a cancelled job does not end")
        try:
            wait_until(lambda: not self.processes(), PATIENCE, "a job left a process behind")
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the processes of this test's jobs, past SLURM."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Of this test's jobs on this machine."""
        return running_below(self.folder.parent)

    def _ask(
        self, words: list[str], text: str = "", variables: dict[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            words,
            input=text,
            cwd=self.folder,
            env={**self._variables, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout


@contextmanager
def jobs_in(folder: Path) -> Iterator[Jobs]:
    """Jobs of a test, which is skipped where no cluster answers; none of them is left after it."""
    conf = os.environ.get("SLURM_CONF", CONF)
    if not _answers(conf):
        pytest.skip(f"no SLURM cluster answers by {conf}; start one with `make slurm-up`")
    jobs = Jobs(folder, conf)
    try:
        yield jobs
    finally:
        jobs.clear()


def wait_until(condition: Callable[[], object], deadline: float, otherwise: str) -> None:
    """Look again and again, `deadline` seconds at most."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"after {deadline:g} s: {otherwise}"
        time.sleep(0.05)


def python(code: Path, *words: object) -> str:
    """The command that runs a script in this environment."""
    return " ".join(map(str, [sys.executable, code, *words]))


@cache
def _answers(conf: str) -> bool:
    if shutil.which("sinfo") is None or not Path(conf).exists():
        return False
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%t"],
            env={**os.environ, "SLURM_CONF": conf},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and bool(USABLE & set(done.stdout.split()))
