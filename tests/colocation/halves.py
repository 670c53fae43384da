"""A co-located run whose halves are started, disturbed and watched, and what must hold of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetuna_flows.colocation.kept_labels import NAME as LABELS
from finetuna_flows.processes.tree import all_processes, descendants, marked, read_state
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from tests.colocation.nurseries import DONE_WITHIN, Nursery, until
from tests.fakes import colocated_relaxation as relaxation
from tests.fakes.colocated_parts import phases
from tests.fakes.colocated_parts.phases import Phases

SAME = 1e-6
"""Å; EMT sums in another order where its neighbour list was made at another geometry."""
CLEAN_WITHIN = 8.0
"""Seconds in which all that a job has started is gone after it; a guard gives programs five."""
MARKER = "FINETUNA_FLOWS_TEST_RUN"


@dataclass
class Halves:
    """One run in one directory, through as many tries as it takes."""

    nursery: Nursery
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of all jobs."""
    jobs: dict[str, int] = field(default_factory=dict)
    """Processes by what they run; the newest of each."""
    _known: list[Any] = field(default_factory=list)
    _before: int = 0

    @property
    def notes(self) -> Phases:
        """What the run says that it is doing."""
        return Phases(self.directory / relaxation.NOTES)

    def start(self, what: str, largest_file: int | None = None) -> int:
        """Start a job; what it leaves of an earlier try goes."""
        if what != "parent":
            (self.directory / "learner.json").unlink(missing_ok=True)
        if what in ("parent", "twins"):
            (self.directory / "parent.json").unlink(missing_ok=True)
        environment = {**self.environment, MARKER: str(self.directory)}
        self.jobs[what] = self.nursery.start(what, self.directory, largest_file, environment)
        return self.jobs[what]

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Signal a process that may have ended."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def reach(self, phase: str, count: int = 1, patience: float = DONE_WITHIN) -> None:
        """Wait until a phase has begun so often."""
        until(lambda: self.notes.count(phase) >= count, patience, phase)

    def is_running(self, what: str) -> bool:
        """Whether the newest job of this kind has not ended."""
        state = read_state(self.jobs[what])
        return state is not None and state.state not in "ZX"

    def wait(self, *what: str, patience: float = DONE_WITHIN) -> float:
        """Wait for the end of jobs; seconds that it took."""
        started = time.monotonic()
        until(
            lambda: not any(map(self.is_running, what)),
            patience,
            f"the end of {' and '.join(what)}",
        )
        return time.monotonic() - started

    def job(self, what: str, who: str) -> str:
        """Which job a half is, or is in."""
        return "own" if what == "own" else who

    def pid(self, what: str, who: str) -> int:
        """The process of that job."""
        return self.jobs[self.job(what, who)]

    def service(self, job: str) -> int:
        """The process in which the parent is, below the job that started it."""
        found: list[int] = []

        def look() -> bool:
            below = descendants(self.jobs[job])
            found[:] = [each.pid for each in below if b"colocation.service" in _words(each.pid)]
            return bool(found)

        until(look, DONE_WITHIN, "the parent's process")
        return found[-1]  # nearest first: guards name the program too

    def family(self, job: str) -> set[int]:
        """What a job has started; with itself, where it is the parent's."""
        below = {each.pid for each in descendants(self.jobs[job])}
        return below | ({self.jobs[job]} if job == "parent" else set())

    @property
    def key(self) -> str:
        """Of the twins."""
        flow = json.loads((self.directory / relaxation.FLOW).read_text())
        key: str = flow["jobs"][1]["function"]["@bound"]["meeting"]["key"]
        return key

    def end(self) -> None:
        """End what is left."""
        for pid in self.left():
            self.kill(pid)
        self.check_clean()

    def left(self) -> set[int]:
        """Processes of this run that have not ended."""
        jobs = {self.jobs[what] for what in self.jobs if self.is_running(what)}
        return jobs | marked(f"{MARKER}={self.directory}", all_processes())

    def check_clean(self) -> None:
        """See that nothing of the run is left running."""
        until(lambda: not self.left(), CLEAN_WITHIN, "the end of all that was started")

    def outcome(self, who: str) -> dict[str, Any]:
        """What a job has come to; its error, if that is it."""
        path = self.directory / f"{who}.json"
        assert path.exists(), f"the {who} left no word: {self.printed()}"
        said: dict[str, Any] = json.loads(path.read_text())
        return said

    def words(self, who: str) -> str:
        """The message of the error that ended a job."""
        said = self.outcome(who)
        assert "error" in said, f"the {who} ended well: {said}"
        return f"{said['error']}: {said['words']}"

    def kept(self, name: str) -> list[Any]:
        """Positions of the labels that are on disk, in the learner's or the parent's record."""
        found: list[Any] = []
        for path in self.directory.glob(f"online_relax*/**/{name}"):
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    found += _positions(json.loads(line)["body"])
        return found

    def check_nothing_twice(self) -> None:
        """See that what was on disk at the last look was not asked again; then look anew."""
        begun = self.notes.noted(phases.BEGUN)
        for asked in begun[self._before :]:
            again = any(np.allclose(asked, known, rtol=0, atol=SAME) for known in self._known)
            assert not again, "a geometry was asked again whose label was on disk"
        known = self.kept(LEDGER_NAME) + self.kept(LABELS)
        kept = all(any(np.array_equal(old, new) for new in known) for old in self._known)
        assert kept, "a label that was on disk is there no more"
        self._known, self._before = known, len(begun)

    def check_end(self) -> None:
        """See that the run came to what undisturbed ones come to, and left nothing."""
        self.check_nothing_twice()
        self.check_clean()
        expected, said = self.nursery.undisturbed, self.outcome("learner")
        assert said.get("converged"), said
        assert said["parent_calls"] == expected["parent_calls"]
        assert said["energy"] == pytest.approx(expected["energy"], abs=1e-7)  # EMT's neighbours
        notices = self.directory / relaxation.NOTICES
        assert not (notices.exists() and sorted(each.name for each in notices.iterdir()))

    def sockets(self) -> int:
        """How many folders of sockets are there."""
        return len(list((self.directory / relaxation.SOCKETS).iterdir()))

    def printed(self) -> str:
        """The ends of what all have printed."""
        logs = [*self.directory.glob("*.out"), *self.directory.glob("*/parent/parent.log")]
        return "\n".join(f"{each.name}: {each.read_text()[-1500:]}" for each in logs)


def _positions(body: dict[str, Any]) -> Sequence[Any]:
    if body["kind"] == "label":
        return [body["positions"]]
    return [step["positions"] for step in body.get("steps", ()) if step["label"]]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
