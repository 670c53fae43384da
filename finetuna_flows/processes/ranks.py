"""Stop and continue the ranks of a parallel program, and see that they did.

A signal to ``mpirun`` reaches the ranks only where nothing stands between (a wrapper script
does), so the ranks themselves are signalled: the processes below the launcher that have started
none. What ``srun`` starts is below SLURM's daemon; ``scancel`` reaches it on every node, and the
ranks on this one are known by a variable in their environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from finetuna_flows.processes.guarded import Guarded
from finetuna_flows.processes.tree import (
    GONE,
    STOPPED,
    ProcessState,
    all_processes,
    descendants,
    environment,
    marked,
    read_state,
)

VARIABLE = "FINETUNA_FLOWS_PROGRAM"
LAUNCHER = "srun"
"""SLURM's, which has its tasks started by somebody else."""
REMOTE_SHELLS = ("ssh", "rsh", "qrsh", "blaunch")
"""By which a launcher reaches other nodes."""
DAEMONS = ("orted", "prted")
"""Of Open MPI: a program that is started without ``mpirun`` starts one below itself."""
PATIENCE = 5.0
"""Seconds until every rank must be in the state that was asked for."""
SCANCEL_PATIENCE = 60.0
"""Seconds for SLURM to pass a signal on; 0.03 to 0.13 where it was tried."""


class RanksError(Exception):
    """The ranks did not reach the state that was asked for."""


@dataclass(frozen=True)
class Ranks:
    """The working processes of one program.

    Parameters
    ----------
    program
        Started with the variables of `new_marker` in its environment.
    marker
        The value of `VARIABLE` there.
    """

    program: Guarded
    marker: str

    @staticmethod
    def new_marker() -> Mapping[str, str]:
        """Variables by which processes are known that are not descendants."""
        return {VARIABLE: uuid4().hex}

    def find(self) -> list[ProcessState]:
        """The ranks on this node, as they are now."""
        running = _without_daemons(all_processes())
        below = descendants(self.program.pid, running)
        candidates = {each.pid for each in below if each.name != LAUNCHER}
        if len(candidates) < len(below):
            candidates |= marked(f"{VARIABLE}={self.marker}", running) - {self.program.pid}
        parents = {each.parent for each in running}
        return [
            each
            for each in running
            if each.pid in candidates and each.pid not in parents and each.name != LAUNCHER
        ]

    def stop(self) -> float:
        """Stop them all; return the seconds it took.

        Raises
        ------
        RanksError
            If there are none on this node, or some on others too, or one runs on.
        """
        return self._bring(signal.SIGSTOP, lambda each: each.state == STOPPED)

    def resume(self) -> float:
        """Let them run again; return the seconds it took.

        Raises
        ------
        RanksError
            If one stays stopped.
        """
        return self._bring(signal.SIGCONT, lambda each: each.state != STOPPED)

    def resume_all(self) -> None:
        """Send SIGCONT to all, whatever state they are in; nothing is verified."""
        for each in self.find():
            _signal(each, signal.SIGCONT)

    def _bring(self, number: signal.Signals, reached: Callable[[ProcessState], bool]) -> float:
        started = time.perf_counter()
        ranks = self.find()
        remote = [each.name for each in ranks if each.name in REMOTE_SHELLS]
        if remote and number is signal.SIGSTOP:
            raise RanksError(
                f"ranks run on other nodes too (by {remote[0]}), where they cannot be watched"
            )
        if not ranks:
            raise RanksError("no rank of the program runs on this node, so none can be watched")
        if any(each.name == LAUNCHER for each in self.program.processes()):
            _signal_step(number, ranks)
        deadline = time.monotonic() + PATIENCE
        while late := [each for each in ranks if not reached(each)]:
            if time.monotonic() > deadline:
                names = ", ".join(f"{each.name} ({each.pid}): {each.state}" for each in late)
                raise RanksError(f"after {PATIENCE:g} s and {number.name}: {names}")
            for each in late:
                _signal(each, number)
            ranks = self._settled([each.pid for each in ranks], reached)
        return time.perf_counter() - started

    def _settled(
        self, pids: list[int], reached: Callable[[ProcessState], bool]
    ) -> list[ProcessState]:
        """Wait a moment for these; then look again at all, which may be others by now."""
        for _ in range(20):
            states = [each for each in map(read_state, pids) if each and each.state not in GONE]
            if all(map(reached, states)):
                break
            time.sleep(0.0005)
        return self.find()


def _without_daemons(running: list[ProcessState]) -> list[ProcessState]:
    """All but daemons with nothing below them, whose parent computes itself."""
    parents = {each.parent for each in running}
    return [each for each in running if each.name not in DAEMONS or each.pid in parents]


def _signal(rank: ProcessState, number: signal.Signals) -> None:
    now = read_state(rank.pid)
    if now is None or now.started != rank.started or now.state in GONE:
        return
    try:
        os.kill(rank.pid, number)
    except ProcessLookupError:
        return
    except PermissionError as exc:
        raise RanksError(f"{rank.name} ({rank.pid}) is another user's process") from exc


def _signal_step(number: signal.Signals, ranks: list[ProcessState]) -> None:
    """Pass a signal to all tasks of the step that the ranks belong to."""
    variables = dict(each.partition(b"=")[::2] for each in environment(ranks[0].pid))
    try:
        step = ".".join(variables[name].decode() for name in (b"SLURM_JOB_ID", b"SLURM_STEP_ID"))
    except KeyError as exc:
        raise RanksError(f"{ranks[0].name} ({ranks[0].pid}) names no step of SLURM") from exc
    name = number.name.removeprefix("SIG")
    try:
        subprocess.run(
            ["scancel", f"--signal={name}", step],  # noqa: S607 - SLURM is where PATH says
            check=True,
            capture_output=True,
            text=True,
            timeout=SCANCEL_PATIENCE,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        words = getattr(exc, "stderr", "") or exc
        raise RanksError(f"scancel --signal={name} {step}: {words}") from exc
