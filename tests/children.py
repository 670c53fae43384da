"""Processes that a test starts, and whatever these start: none of them outlives the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from finetuna_flows.processes.tree import all_processes, marked

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
"""Where the tools of this Python are."""
MARKER = "FINETUNA_FLOWS_TEST_FAMILY"
PATIENCE = 10.0
"""Seconds for processes to end."""


class Children:
    """A family of processes, known by a variable that each inherits.

    Parameters
    ----------
    directory
        Where they run and where their output goes.
    environment
        Variables in addition to those of this process.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._marker = f"{MARKER}={uuid4().hex}"
        name, value = self._marker.split("=")
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(ROOT), name: value}
        self._environment = {**os.environ, **own, **environment}
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, words: Sequence[str], patience: float) -> str:
        """Run one to its end; what it has printed, errors too.

        Raises
        ------
        AssertionError
            If it fails, or takes longer than `patience` seconds.
        """
        output = f"{len(self._started)}-{Path(words[0]).name}.out"
        process = self.start(words, output)
        wait_until(lambda: process.poll() is not None, patience, f"the end of {words}")
        said = (self._directory / output).read_text()
        assert process.returncode == 0, said
        return said

    def start(self, words: Sequence[str], output: str) -> subprocess.Popen[bytes]:
        """Start one, its output going to a file of that name."""
        with (self._directory / output).open("wb") as file:
            process = subprocess.Popen(
                words,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def alive(self) -> set[int]:
        """Process ids of the whole family, whoever their parents are by now."""
        return marked(self._marker, all_processes())

    def end(self, *processes: subprocess.Popen[bytes]) -> None:
        """Ask some to end, and wait."""
        for each in processes:
            each.terminate()
        for each in processes:
            with suppress(subprocess.TimeoutExpired):
                each.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        def none_is_left() -> bool:
            for pid in self.alive():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.alive()

        wait_until(none_is_left, PATIENCE, "the end of all children")
        for each in self._started:
            each.wait(PATIENCE)


def wait_until(condition: Callable[[], bool], patience: float, what: str) -> None:
    """Look again and again.

    Raises
    ------
    AssertionError
        If it does not come within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {patience:g} s"
        time.sleep(0.05)
