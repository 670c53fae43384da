"""Where twin jobs find each other: a few small notes under the key of their flow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from monty.json import MSONable

from finetuna_flows.settings import Settings

INVITATION = "invitation"
LEARNER_LEFT = "learner-left"
PARENT_LEFT = "parent-left"
LOOK = 2.0
"""Seconds between two looks; a shared folder may be seconds late anyway."""


class Rendezvous(Protocol):
    """Notes that both twins can write and read."""

    def put(self, name: str, text: str) -> None:
        """Leave a note, whole, in place of an earlier one."""
        ...

    def get(self, name: str) -> str | None:
        """Read a note; None if there is none."""
        ...

    def remove(self, name: str) -> None:
        """Take it away, if it is there."""
        ...


@dataclass(frozen=True)
class FileRendezvous(MSONable):
    """Notes are files of this user in a folder that both machines see."""

    folder: str | None = None
    """None: as the settings of each machine say (``rendezvous_path``)."""

    def __post_init__(self) -> None:
        if self.folder is not None:
            _absolute(Path(self.folder))

    def __str__(self) -> str:
        """Where that is on this machine."""
        return str(self._path(""))

    def put(self, name: str, text: str) -> None:
        """Leave a note that only this user may read."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{uuid4().hex}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    def get(self, name: str) -> str | None:
        """Read a note.

        Raises
        ------
        PermissionError
            If it is another user's, who may not tell where to go.
        """
        try:
            with self._path(name).open() as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    raise PermissionError(f"{self._path(name)} is another user's note")
                return file.read()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Take it away."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        folder = Path(self.folder) if self.folder is not None else Settings().rendezvous_path
        return _absolute(folder) / name


def _absolute(folder: Path) -> Path:
    """Refuse a folder that would be another one for each job."""
    whole = folder.expanduser()
    if not whole.is_absolute():
        raise ValueError(
            f"the rendezvous folder is {folder} but each job runs in a folder of its own; name it "
            "from / or ~"
        )
    return whole
