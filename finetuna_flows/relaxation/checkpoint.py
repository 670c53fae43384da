"""The ledger of parent calls: every label is on disk before anybody learns of it.

One file of JSON lines, only ever appended to. The first line says which run it belongs to;
each further line is one parent call with the steps that led to it, and carries a checksum.
A run that starts again in the same directory is handed these steps back one by one, so that
optimizer and tuner arrive where they were without a single parent call.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ase import Atoms
from filelock import FileLock, Timeout

from finetuna_flows.errors import CheckpointError
from finetuna_flows.geometry import largest_displacement
from finetuna_flows.records import Step
from finetuna_flows.relaxation.encoding import decode_step, encode_step

logger = logging.getLogger(__name__)

LEDGER_NAME = "ledger.jsonl"
SAME_GEOMETRY = 1e-3
"""Å; a resumed optimizer that asks for a geometry farther off than this is another one."""

Json = dict[str, object]


class Ledger:
    """The checkpoint of one relaxation in one directory; a context manager that locks it.

    Parameters
    ----------
    directory
        Made if it does not exist.
    identity
        What makes this run this run: method, structure, spec. Plain JSON values.
    """

    def __init__(self, directory: Path, identity: Mapping[str, object]) -> None:
        self.path = directory / LEDGER_NAME
        self._identity: Json = json.loads(json.dumps(identity))
        self._recorded: deque[Step] = deque()
        self._trail: list[Step] = []
        self._lock = FileLock(directory / f".{LEDGER_NAME}.lock")

    def __enter__(self) -> Self:
        """Lock the directory and read what an earlier run left there.

        Raises
        ------
        CheckpointError
            If another process holds the directory, or the ledger in it is damaged before its
            last record or belongs to another run.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as exc:
            raise CheckpointError(
                f"{self.path.parent} is in use by another run; wait for it or choose another "
                "directory"
            ) from exc
        try:
            self._read()
            self._file: BinaryIO = self.path.open("ab")
            if self._file.tell() == 0:
                self._append({"kind": "run", "schema": 1, "identity": self._identity})
                _sync_directory(self.path.parent)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._lock.release()

    @property
    def next(self) -> Step | None:
        """The recorded step that is replayed next; None where the record ends."""
        return self._recorded[0] if self._recorded else None

    def replay(self, atoms: Atoms) -> Step | None:
        """Hand back the step that was recorded for this geometry; None where the record ends.

        Raises
        ------
        CheckpointError
            If the record goes on with another geometry.
        """
        if not self._recorded:
            return None
        step = self._recorded.popleft()
        apart = largest_displacement(step.positions, atoms.positions, atoms)
        if apart > SAME_GEOMETRY:
            raise CheckpointError(
                f"{self.path} recorded step {step.index} {apart:.3g} Å away from the geometry "
                f"asked for now, but at most {SAME_GEOMETRY:g} Å is allowed; resume with the "
                "package versions that the run was started with, or start in another directory"
            )
        return step

    def write(self, step: Step) -> None:
        """Remember a step; one with a label goes to disk at once, with all since the last label.

        Raises
        ------
        CheckpointError
            If the disk refuses; the record is then not in the ledger.
        """
        self._trail.append(step)
        if step.label is not None:
            self._append({"kind": "call", "steps": [encode_step(each) for each in self._trail]})
            self._trail.clear()

    def _append(self, body: Json) -> None:
        start = self._file.tell()
        try:
            self._file.write(_sealed(body))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as exc:
            self._file.truncate(start)
            raise CheckpointError(f"{self.path} cannot be written: {exc}") from exc

    def _read(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        lines = content.splitlines(keepends=True)
        bodies = [_unsealed(line) for line in lines]
        if bodies and bodies[-1] is None:
            logger.warning(
                "%s:%d: the last record is damaged (the run was killed while writing it) and is "
                "dropped",
                self.path,
                len(lines),
            )
            os.truncate(self.path, len(content) - len(lines[-1]))
            bodies.pop()
        for number, body in enumerate(bodies, start=1):
            if body is None:
                raise CheckpointError(
                    f"{self.path}:{number}: damaged record before the last one; restore the file "
                    "from a copy, or start in another directory"
                )
            self._take(number, body)

    def _take(self, number: int, body: Json) -> None:
        match body:
            case {"kind": "run", "schema": 1, "identity": dict(identity)}:
                differing = _differences(identity, self._identity)
                if differing:
                    raise CheckpointError(
                        f"{self.path} belongs to another run: {'; '.join(differing)}. Use the "
                        "same spec to resume it, or another directory to start anew (jobflow's "
                        "run_locally makes one with create_folders=True)"
                    )
            case {"kind": "call", "steps": list(steps)}:
                self._recorded.extend(decode_step(each) for each in steps)
            case _:
                raise CheckpointError(
                    f"{self.path}:{number}: not a record of this version of the ledger; resume "
                    "with the version that wrote it, or start in another directory"
                )


def _sealed(body: Json) -> bytes:
    text = json.dumps(body, separators=(",", ":"))
    return f'{{"crc32":{zlib.crc32(text.encode())},"body":{text}}}\n'.encode()


def _unsealed(line: bytes) -> Json | None:
    """Return what a line holds; None where it is torn or altered."""
    if not line.endswith(b"\n"):
        return None
    try:
        sealed = json.loads(line)
    except ValueError:
        return None
    body = sealed.get("body") if isinstance(sealed, dict) else None
    return body if isinstance(body, dict) and _sealed(body) == line else None


def _differences(then: object, now: object, name: str = "") -> list[str]:
    """Say where two JSON values differ, one clause a place."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = sorted(then.keys() | now.keys())
        return [
            clause
            for key in keys
            for clause in _differences(then.get(key), now.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if then == now else [f"`{name}` was {then!r} and is {now!r}"]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
