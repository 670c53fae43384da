"""A program that runs beside the learner: watched while it is waited for, paused, ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetuna_flows.errors import ParentError
from finetuna_flows.processes.guarded import Guarded
from finetuna_flows.processes.pause import Pause
from finetuna_flows.processes.ranks import VARIABLE, Ranks, RanksError

RUN = (
    "import os, sys; sys.path[:] = sys.argv[1].split(os.pathsep); import runpy; "
    "runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)"
)
SHOWN = 10
"""Lines of output in a message."""
SAYS_NOTHING = re.compile(
    r"\W*$|MPI_ABORT was invoked|with errorcode|NOTE: invoking MPI_ABORT"
    r"|You may or may not see output|exactly when Open MPI kills|\[.*ORTE_ERROR_LOG"
)
"""Lines between what a program says of its end and the end: rules, and Open MPI's notice."""


class Companion:
    """A guarded program whose output goes to a file.

    Parameters
    ----------
    command
        Words, not given to a shell.
    directory
        Where it runs.
    log
        Name of the file in that directory for all that it prints; appended to.
    environment
        Variables in addition to those of this process.
    pause
        ``auto``, ``yes`` or ``no``; see `processes.pause.Pause`.
    name
        What it is called in messages.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        log: str,
        environment: Mapping[str, str],
        pause: str,
        name: str,
    ) -> None:
        self._log = directory / log
        self._name = name
        marker = Ranks.new_marker()
        with self._log.open("ab") as output:
            self._began = output.tell()
            self._program = Guarded(
                command,
                directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                environment={**environment, **marker},
            )
        self._pause = Pause(Ranks(self._program, marker[VARIABLE]), pause, name)

    @property
    def log(self) -> Path:
        """All that it has printed."""
        return self._log

    @property
    def exit_code(self) -> int | None:
        """128 + n if it was ended by signal n; None while it runs."""
        return self._program.exit_code

    @property
    def pid(self) -> int:
        """Of its guard; all that it consists of is below."""
        return self._program.pid

    @property
    def paused_time(self) -> float:
        """Seconds that its ranks have been stopped."""
        return self._pause.total

    def last_words(self) -> str:
        """The end of what it has printed, in one line."""
        with self._log.open("rb") as printed:
            printed.seek(self._began)
            lines = printed.read().decode(errors="replace").splitlines()
        telling = [line.strip() for line in lines if not SAYS_NOTHING.match(line.strip())]
        return " | ".join(telling[-SHOWN:]) or "nothing"

    def rest(self) -> None:
        """Stop its ranks.

        Raises
        ------
        ParentError
            If they do not stop, and must.
        """
        try:
            self._pause.begin()
        except RanksError as exc:
            raise ParentError(f"{self._name} cannot be paused: {exc}") from exc

    def resume(self) -> None:
        """Let its ranks go on.

        Raises
        ------
        ParentError
            If one stays stopped.
        """
        try:
            self._pause.end()
        except RanksError as exc:
            raise ParentError(f"{self._name} does not go on: {exc}", retryable=True) from exc

    def wait(self, patience: float) -> int | None:
        """The exit code, or None if it has not ended within so many seconds."""
        return self._program.wait(patience)

    def stop(self) -> None:
        """End it now; nothing of it is left."""
        self._program.stop()


def module(name: str) -> list[str]:
    """The words that run a module by this Python, which finds what this process finds.

    PYTHONPATH would reach the programs below it too, whose Python may be another one.
    """
    path = os.pathsep.join(each for each in sys.path if each)
    return [sys.executable, "-c", RUN, path, name]
