"""Where twin jobs find each other: a few small notes under the key of their flow."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from monty.json import MSONable

from finetuna_flows.errors import PeerError
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)

INVITATION = "invitation"
LEARNER_LEFT = "learner-left"
PARENT_LEFT = "parent-left"
LOOK = 2.0
"""Seconds between two looks; a shared folder may be seconds late anyway."""
STALE = 300.0
"""Seconds for which a note that lay there already is taken for an earlier try's."""


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

    def put(self, name: str, text: str) -> None:
        """Leave a note that only this user may read."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    def get(self, name: str) -> str | None:
        """Read a note."""
        try:
            return self._path(name).read_text()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Take it away."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        folder = Path(self.folder) if self.folder is not None else Settings().rendezvous_path
        return folder.expanduser() / name


class Farewell:
    """Whether the other twin left a note that it has ended, and this one may believe it.

    Parameters
    ----------
    rendezvous, name
        Where the note would be.
    who
        Leaves it.
    """

    def __init__(self, rendezvous: Rendezvous, name: str, who: str) -> None:
        self._rendezvous = rendezvous
        self._name = name
        self._who = who
        self._before = rendezvous.get(name)
        self._since = time.monotonic()
        self._looked = -LOOK

    def check(self) -> None:
        """Look, but not more often than every two seconds.

        Raises
        ------
        PeerError
            With what the note says. One that lay there from the beginning may be an earlier
            try's, and is believed after five minutes only.
        """
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        note = self._rendezvous.get(self._name)
        if note is None:
            self._before = None
        elif note != self._before or now - self._since > STALE:
            raise PeerError(f"the {self._who} has ended: {note}")
