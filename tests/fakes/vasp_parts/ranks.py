"""The other MPI ranks: they burn CPU until rank 0 is gone."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

LOCK = "FAKE_VASP.lock"
RANK = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
SIZE = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
RUN = ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID", "SLURM_JOB_ID")
PATIENCE = 60.0
"""Seconds that ranks wait for each other at the start."""
PR_SET_PDEATHSIG = 1


def first(environ: Mapping[str, str], names: tuple[str, ...], default: str) -> str:
    """Value of the first variable that is set."""
    return next((environ[name] for name in names if name in environ), default)


def rank(environ: Mapping[str, str]) -> int:
    """Of this process; 0 without MPI."""
    return int(first(environ, RANK, "0"))


def size(environ: Mapping[str, str]) -> int:
    """Of the MPI job; 1 without MPI."""
    return int(first(environ, SIZE, "1"))


def _greeting(environ: Mapping[str, str], number: int) -> str:
    return f"{first(environ, RUN, str(os.getsid(0)))} {number}\n"


def burn(seconds: float) -> None:
    """Spend CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def follow(environ: Mapping[str, str]) -> None:
    """Be one of the other ranks: greet rank 0, then burn until it is gone."""
    with Path(LOCK).open("a") as file:
        file.write(_greeting(environ, rank(environ)))
        file.flush()
        met, deadline = False, time.monotonic() + PATIENCE
        while os.fstat(file.fileno()).st_nlink and (met or time.monotonic() < deadline):
            burn(0.01)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                met = True
                continue
            fcntl.flock(file, fcntl.LOCK_UN)
            if met:
                return


class Leader:
    """Rank 0, which holds the lock by which the others see that it lives."""

    def __init__(self, environ: Mapping[str, str], forked: int) -> None:
        self.children = [_fork_burner() for _ in range(forked)]
        self.path = Path(LOCK).absolute()
        self.file = self.path.open("a+")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        missing = {_greeting(environ, number) for number in range(1, size(environ))}
        deadline = time.monotonic() + PATIENCE
        while missing and time.monotonic() < deadline:
            self.file.seek(0)
            missing -= set(self.file.readlines())
            time.sleep(0.005)

    def dismiss(self) -> None:
        """Let the others end."""
        self.path.unlink(missing_ok=True)
        self.file.close()
        for child in self.children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _fork_burner() -> int:
    """Fork a process that burns and that the kernel kills when this one ends, stopped or not."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    while os.getppid() == parent:
        burn(0.01)
    os._exit(0)
