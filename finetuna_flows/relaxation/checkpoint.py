"""The ledger of parent calls: every label is on disk before anybody learns of it.

One file of JSON lines, only ever appended to. The first line says which run it belongs to;
each further line is one parent call with the steps that led to it, and carries a checksum.
A run that starts again in the same directory is handed these steps back one by one, so that
optimizer and tuner arrive where they were without a single parent call.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ase import Atoms
from filelock import FileLock, Timeout

from finetuna_flows.encoding import decode_step, encode_step
from finetuna_flows.errors import CheckpointError
from finetuna_flows.geometry import largest_displacement
from finetuna_flows.journal import Journal, Json, rename_aside
from finetuna_flows.records import Step
from finetuna_flows.relaxation.identity import differences

logger = logging.getLogger(__name__)

LEDGER_NAME = "ledger.jsonl"
SAME_GEOMETRY = 1e-3
"""Å; a resumed optimizer that asks for a geometry farther off than this is another one."""


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
        self._journal = Journal(self.path)
        self._identity: Json = json.loads(json.dumps(identity))
        self._recorded: deque[Step] = deque()
        self._trail: list[Step] = []

    def __enter__(self) -> Self:
        """Lock the directory and read what an earlier run left there.

        Raises
        ------
        CheckpointError
            If another process holds the directory, or the ledger in it is damaged before its
            last record or belongs to another run.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.path.parent)
        try:
            self._read()
            labels = sum(step.label is not None for step in self._recorded)
            if labels:
                logger.info("%s: %d labels of an earlier run are replayed", self.path, labels)
            if self._journal.open():
                self._journal.append({"kind": "run", "schema": 1, "identity": self._identity})
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
        try:
            self._journal.close()
        finally:
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
            self._journal.append(
                {"kind": "call", "steps": [encode_step(each) for each in self._trail]}
            )
            self._trail.clear()

    def _read(self) -> None:
        for number, body in enumerate(self._journal.read(), start=1):
            self._take(number, body)

    def _take(self, number: int, body: Json) -> None:
        match body:
            case {"kind": "run", "schema": 1, "identity": dict(identity)} if number == 1:
                differing = differences(identity, self._identity)
                if differing:
                    raise CheckpointError(
                        f"{self.path} belongs to another run: {'; '.join(differing)}. Use the "
                        "same spec to resume it, or another directory to start anew (on the "
                        "command line --directory names one and --fresh sets the old ledger aside; "
                        "jobflow's run_locally makes one with create_folders=True)"
                    )
            case {"kind": "call", "steps": list(steps)} if number > 1:
                self._recorded.extend(decode_step(each) for each in steps)
            case _:
                raise CheckpointError(
                    f"{self.path}:{number}: not a record of this version of the ledger; resume "
                    "with the version that wrote it, or start in another directory"
                )


def set_aside(directory: Path) -> None:
    """Rename the ledger in `directory`, if there is one, so that the next run starts anew.

    Raises
    ------
    CheckpointError
        If a run is using it.
    """
    ledger = directory / LEDGER_NAME
    if not ledger.exists():
        return
    with _locked(directory):
        rename_aside(ledger)


def _locked(directory: Path) -> FileLock:
    """Lock a directory.

    Raises
    ------
    CheckpointError
        If another run holds it.
    """
    lock = FileLock(directory / f".{LEDGER_NAME}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise CheckpointError(
            f"{directory} is in use by another run; wait for it or choose another directory"
        ) from exc
    return lock
