"""Where parent and learner run: which process, cores, threads and GPUs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from monty.json import MSONable

from finetuna_flows.colocation.patience import Patience
from finetuna_flows.processes.seat import environment_for_programs, seated
from finetuna_flows.settings import PREFIX, Settings

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_THREADS = f"{PREFIX}THREADS"
GPUS = "CUDA_VISIBLE_DEVICES"
PIN = (
    "import os, sys; wanted = set(map(int, sys.argv[1].split(','))); "
    "os.sched_setaffinity(0, wanted); got = os.sched_getaffinity(0); "
    "got == wanted or sys.exit(f'`cores` is {sys.argv[1]} but of these the job has {got}'); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Holds to some cores and becomes another program."""


@dataclass(frozen=True)
class Seat(MSONable):
    """What of its machine a process may use; what is None is left as queue and settings have it."""

    cores: str | None = None
    """Numbers of logical processors, as in ``0-3,8``."""
    threads: int | None = None
    """Of torch, OpenMP and the linear algebra. None: as the settings say (``threads``); programs
    that are started keep what the environment says (OMP_NUM_THREADS)."""
    gpus: str | None = None
    """Numbers of the GPUs that it sees (CUDA_VISIBLE_DEVICES); an empty string for none."""
    device: str | None = None
    """Where torch surrogates run: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for a GPU where there
    is one, else the CPU. None: as the settings say."""

    def __post_init__(self) -> None:
        _ = self.core_set
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"`threads` is {self.threads} but must be at least 1")

    @property
    def core_set(self) -> frozenset[int]:
        """The same as numbers; empty where nothing was said.

        Raises
        ------
        ValueError
            If it is not of the form.
        """
        if self.cores is None:
            return frozenset()
        found: set[int] = set()
        for part in self.cores.split(","):
            first, to, last = part.strip().partition("-")
            last = last if to else first
            if not (first.isdecimal() and last.isdecimal()) or int(first) > int(last):
                raise ValueError(f"`cores` is {self.cores!r} but must be like 0-3,8")
            found |= set(range(int(first), int(last) + 1))
        return frozenset(found)

    def variables(self) -> dict[str, str]:
        """What was said, as the environment of a process."""
        said: dict[str, str] = {}
        if self.threads is not None:
            said |= dict.fromkeys((*THREADS, OWN_THREADS), str(self.threads))
        if self.gpus is not None:
            said[GPUS] = self.gpus
        if self.device is not None:
            said[f"{PREFIX}DEVICE"] = self.device
        return said

    def variables_of_program(self) -> dict[str, str]:
        """The same for a program that is started: threads are limited in any case."""
        there = environment_for_programs()
        seats_own = os.environ.get(OWN_THREADS) != there.get(OWN_THREADS)
        default = there.get(OWN_THREADS, "1") if seats_own else str(Settings().threads)
        return {name: default for name in THREADS if name not in there} | self.variables()

    def pinned(self, command: Sequence[str]) -> list[str]:
        """A command that stays on the cores of this seat, with all that it starts."""
        if not self.core_set:
            return list(command)
        cores = ",".join(map(str, sorted(self.core_set)))
        return [sys.executable, "-I", "-S", "-c", PIN, cores, *command]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Put this process into the seat for a while.

        Raises
        ------
        ValueError
            If this process may not use the cores.
        """
        allowed = os.sched_getaffinity(0)
        if not self.core_set <= allowed:
            raise ValueError(
                f"`cores` is {self.cores} but this job may use {_ranges(allowed)}; ask the queue "
                "for more, or name those"
            )
        with seated(self.core_set, self.variables()):
            yield


@dataclass(frozen=True)
class Placement(MSONable):
    """How one job is divided between its learner and its parent."""

    process: str | None = None
    """``own`` gives the parent a process of its own, ``same`` has it in the learner's. None: as the
    settings say (``parent_process``), and ``same`` for parents that start programs themselves."""
    launcher: str = ""
    """What starts the parent's process, such as ``mpirun -n 16`` or ``srun --overlap --exact -n 1
    --gres=none``; empty: nothing besides Python. Without ``--overlap`` a step of SLURM waits for
    the learner's to end."""
    interface: str | None = None
    """Listen on this interface as well, for a parent on another node of the job: ``ib0``. None: as
    the settings say."""
    pause: str = "auto"
    """Whether the ranks that a launcher started are stopped between labels: ``yes`` makes it an
    error where that cannot be verified, ``auto`` a warning, ``no`` leaves them polling."""
    learner: Seat = field(default_factory=Seat)
    """Of the surrogate and its tuner."""
    parent: Seat = field(default_factory=Seat)
    """Of the parent's process."""
    patience: Patience = field(default_factory=lambda: Patience(meet=600.0, grace=0.0))
    """How long learner and parent wait for each other; twin jobs have one of their own."""

    def __post_init__(self) -> None:
        if self.process not in (None, "own", "same"):
            raise ValueError(f"`process` is {self.process!r} but must be own, same, or None")
        if self.pause not in ("auto", "yes", "no"):
            raise ValueError(f"`pause` is {self.pause!r} but must be auto, yes or no")
        shared = self.learner.core_set & self.parent.core_set
        if shared:
            raise ValueError(
                f"cores {_ranges(shared)} are given to both learner and parent, which would fight "
                "for them; divide them"
            )
        if self.parent.core_set and shlex.split(self.launcher)[:1] == ["srun"]:
            raise ValueError(
                f"`parent.cores` is {self.parent.cores} but srun has its tasks started by SLURM, "
                "which that does not reach; say --cpu-bind in `launcher`"
            )
        if self.process == "same" and (self.launcher or self.parent != Seat()):
            raise ValueError(
                "`launcher` or `parent` is said but `process` is 'same', so there is no process to "
                "start; leave `process` out, or the others"
            )

    def is_own(self, starts_programs: bool) -> bool:
        """Whether the parent gets a process of its own.

        Parameters
        ----------
        starts_programs
            Whether the parent's engine has one already.
        """
        if self.process is not None:
            return self.process == "own"
        said = bool(self.launcher) or self.parent != Seat()
        return said or (not starts_programs and Settings().parent_process == "own")

    def command(self, words: Sequence[str]) -> list[str]:
        """How the parent's process is started."""
        return self.parent.pinned([*shlex.split(self.launcher), *words])


def _ranges(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
