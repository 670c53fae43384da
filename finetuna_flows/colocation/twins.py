"""Learner and parent as two jobs: how they find each other, and what each does about the other."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from dataclasses import asdict, dataclass, field
from uuid import uuid4

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.invitation import Invitation
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.own_process import ServiceProcess
from finetuna_flows.colocation.remote import Patience
from finetuna_flows.colocation.rendezvous import (
    INVITATION,
    LEARNER_LEFT,
    LOOK,
    PARENT_LEFT,
    Farewell,
    FileRendezvous,
    Rendezvous,
)
from finetuna_flows.errors import PeerError

logger = logging.getLogger(__name__)

POLL = 0.1
"""Seconds; how often the parent's job looks whether its process has ended."""


@dataclass(frozen=True)
class Meeting(MSONable):
    """Where, by which key and with how much patience two twins meet."""

    key: str = field(default_factory=lambda: uuid4().hex)
    """Of this pair; shared by no other."""
    rendezvous: Rendezvous = field(default_factory=FileRendezvous)
    """Where their notes are."""
    patience: Patience = field(default_factory=Patience)
    """How long each waits for the other."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.key):
            raise ValueError(
                f"`key` is {self.key!r} but must consist of letters, digits, dots and dashes"
            )

    def put(self, name: str, text: str) -> None:
        """Leave a note of this pair."""
        self.rendezvous.put(f"{self.key}.{name}", text)

    def get(self, name: str) -> str | None:
        """Read one."""
        return self.rendezvous.get(f"{self.key}.{name}")

    def remove(self, *names: str) -> None:
        """Take them away."""
        for name in names:
            self.rendezvous.remove(f"{self.key}.{name}")

    def farewell(self, name: str, who: str) -> Farewell:
        """Watch for a note of the other's end."""
        return Farewell(self.rendezvous, f"{self.key}.{name}", who)

    def say_left(self, name: str, reason: BaseException) -> None:
        """Tell the other why this twin has ended; each note is another one."""
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        self.put(name, f"{type(reason).__name__}: {reason} ({socket.gethostname()}, {when})")


class TwinPartner:
    """The partner of a learner whose parent is a job of its own."""

    restarts = 0
    paused_time = 0.0
    """The parent's job counts its own pauses."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._farewell: Farewell | None = None

    @property
    def name(self) -> str:
        """With the key, by which the parent's job is found."""
        return f"parent twin of {self._meeting.key}"

    def come(self, listener: Listener, token: str, _: Atoms) -> None:
        """Let the parent's job know where to come to."""
        self._meeting.remove(LEARNER_LEFT)
        self._farewell = self._meeting.farewell(PARENT_LEFT, self.name)
        invitation = Invitation(tuple(map(str, listener.addresses)), token, socket.gethostname())
        self._meeting.put(INVITATION, json.dumps(asdict(invitation)))

    def admit(self, newcomer: Connection, token: str) -> Driver:
        """Take the one that knows the token."""
        return Driver.admit_ours(newcomer, token)

    def watch(self) -> None:
        """Raise PeerError if the parent's job has ended, and said so."""
        if self._farewell is not None:
            self._farewell.check()

    def rest(self) -> None:
        """Its processors are its own."""

    def resume(self) -> None:
        """It never rested."""

    def leave(self, *, ended: bool) -> None:  # noqa: ARG002 - of the protocol
        """Take the invitation away."""
        self._meeting.remove(INVITATION)


def attend(process: ServiceProcess, meeting: Meeting) -> None:
    """Pass the learner's invitation on to the parent's process until that ends.

    Raises
    ------
    ParentError, StructureError, CheckpointError, ValueError, TypeError, PeerError
        What ended it, if it was not the learner's word that it has finished. The learner is told.
    """
    meeting.remove(PARENT_LEFT)
    farewell = meeting.farewell(LEARNER_LEFT, f"learner twin of {meeting.key}")
    known: str | None = None
    looked = -LOOK
    try:
        while process.companion.exit_code is None:
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                note = meeting.get(INVITATION)
                if note is not None and note != known:
                    process.invite(Invitation.from_json(note))
                    known = note
                try:
                    farewell.check()
                except PeerError as exc:
                    process.invite(Invitation((), "", "", withdrawn=str(exc)))
            time.sleep(POLL)
        if process.companion.exit_code != 0:
            process.check()
        meeting.remove(LEARNER_LEFT, PARENT_LEFT)
    except BaseException as exc:
        meeting.say_left(PARENT_LEFT, exc)
        raise
    finally:
        process.end()
