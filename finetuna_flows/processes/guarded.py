"""A program that never outlives this process, and what is known of it while it runs."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from finetuna_flows.processes.seat import cores_for_programs, environment_for_programs
from finetuna_flows.processes.tree import ProcessState, descendants

PACKAGE = Path(__file__).parents[1]
START = (
    f"import sys; sys.path.append(sys.argv.pop(1)); from {PACKAGE.name}.processes.guard import main"
    "; main(sys.argv[1:])"
)
"""A guard without site-packages, which it does not need, takes half the time to start."""
GRACE = 5.0
"""Seconds that a program has to end when it is asked to, before it is killed."""


def guarded(command: Sequence[str]) -> list[str]:
    """The words of a command that must not outlive this process, whoever starts it here."""
    guard = [sys.executable, "-I", "-S", "-c", START, str(PACKAGE.parent)]
    cores = ",".join(map(str, sorted(cores_for_programs())))
    return [*guard, str(os.getpid()), str(GRACE), cores, "--", *command]


class Guarded:
    """A program in its own session, ended with this process whichever way that dies.

    Parameters
    ----------
    command
        Words, not given to a shell.
    directory
        Where it runs.
    stdin, stdout, stderr
        As `subprocess.Popen` takes them.
    environment
        Variables in addition to those of this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        stdin: int,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        environment: Mapping[str, str],
    ) -> None:
        self._guard = subprocess.Popen(
            guarded(command),
            cwd=directory,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**environment_for_programs(), **environment},
            start_new_session=True,
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        """Of the guard; all that the program consists of is below it."""
        return self._guard.pid

    @property
    def exit_code(self) -> int | None:
        """128 + n if it was ended by signal n; None while it runs."""
        return self._guard.poll()

    def processes(self) -> list[ProcessState]:
        """The program and all that it has started."""
        return descendants(self.pid)

    def wait(self, patience: float) -> int | None:
        """The exit code, or None if it has not ended within so many seconds."""
        try:
            return self._guard.wait(None if math.isinf(patience) else patience)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it now: asked first, killed where that does not help; nothing of it is left."""
        if self.exit_code is None:
            self._guard.terminate()
            try:
                self._guard.wait(2 * GRACE)
            except subprocess.TimeoutExpired:
                self._guard.kill()
                self._guard.wait()
