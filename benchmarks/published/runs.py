"""One system relaxed by one method, judged, and kept on disk."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

from jobflow import JobStore
from maggma.stores import MemoryStore

import finetuna_flows
from benchmarks.published.judgement import Measured, measure
from benchmarks.published.methods import Method
from benchmarks.published.systems import PublishedSystem
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.relaxation.limits import Limits


@dataclass(frozen=True)
class Task:
    """What one worker does at a time."""

    system: PublishedSystem
    method: Method
    limits: Limits

    @property
    def key(self) -> str:
        """Of the method's spec on this system."""
        return self.method.key(self.system, self.limits)


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    sid: str
    method: str
    key: str
    measured: Measured | None
    """None where the relaxation failed; `error` then says how."""
    error: str | None
    code: str
    """Of the package that ran it; see `code_key`."""
    finished_at: str
    """UTC."""


def run_task(task: Task) -> Outcome:
    """Relax in a folder of its own, which is thrown away; failures are outcomes too."""
    code_key()  # of the source that is loaded now
    try:
        measured, error = _relax(task), None
    except Exception as failure:  # noqa: BLE001 - the boundary of the process
        measured, error = None, f"{type(failure).__name__}: {failure}"
    return outcome(task, measured, error)


def outcome(task: Task, measured: Measured | None, error: str | None) -> Outcome:
    """Put name, spec, code and time beside what was measured."""
    return Outcome(
        sid=task.system.sid,
        method=task.method.name,
        key=task.key,
        measured=measured,
        error=error,
        code=code_key(),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@cache
def code_key() -> str:
    """Tell one state of the package's source from another; as this process found it first."""
    root = Path(finetuna_flows.__path__[0])
    digest = sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


class Shelf:
    """Finished outcomes in a folder, one small file each, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        path = self._path(outcome.sid, outcome.method, outcome.key)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(outcome)))
        part.replace(path)

    def get(self, task: Task) -> Outcome | None:
        """Look up what this very spec gave on this system; None if it did not finish."""
        path = self._path(task.system.sid, task.method.name, task.key)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text())
        if kept["measured"] is not None:
            kept["measured"] = Measured(**kept["measured"])
        return Outcome(**kept)

    def _path(self, sid: str, method: str, key: str) -> Path:
        return self._folder / f"{sid}.{method}.{key}.json"


def _relax(task: Task) -> Measured:
    maker = task.method.maker(task.system, task.limits)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    with tempfile.TemporaryDirectory() as folder:
        job = maker.make(task.system.atoms)
        ((_, response),) = run_in_folders(job, store, Path(folder))
    if isinstance(response, Exception):
        raise response
    return measure(task.system, response.output)
