"""Learner and parent as two jobs: how they find each other, and what each does about the other."""

from __future__ import annotations

import json
import logging
import math
import re
import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.invitation import Invitation
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.own_process import ServiceProcess
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.rendezvous import (
    INVITATION,
    LEARNER_LEFT,
    LOOK,
    PARENT_LEFT,
    FileRendezvous,
    Rendezvous,
)
from finetuna_flows.errors import AbsentError, PeerError
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)

FAREWELL = 3.0
"""Seconds in which a learner that loses its parent takes its invitation away."""
POLL = 0.1
"""Seconds; how often the parent's job looks whether its process has ended."""


class TwinEndedError(PeerError):
    """The other twin has left a note that it has ended."""


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
                f"`key` is {self.key!r} but must consist of letters, digits, and _ . -"
            )

    def put(self, name: str, text: str) -> None:
        """Leave a note of this pair."""
        self.rendezvous.put(f"{self.key}.{name}", text)

    def get(self, name: str) -> str | None:
        """Read one; a place that cannot be read now has nothing new, for folders have hiccups."""
        try:
            return self.rendezvous.get(f"{self.key}.{name}")
        except Exception as exc:  # noqa: BLE001 - stores have errors of their own
            logger.warning("the twin's notes cannot be read now: %s", exc)
            return None

    def remove(self, *names: str) -> None:
        """Take them away, as far as that can be done."""
        for name in names:
            try:
                self.rendezvous.remove(f"{self.key}.{name}")
            except Exception as exc:  # noqa: BLE001 - as above
                logger.warning("the note %s.%s stays: %s", self.key, name, exc)

    def listen(self, name: str, who: str) -> None:
        """Look whether the other has left a note of its end, and take that away.

        Raises
        ------
        TwinEndedError
            With what the note says.
        """
        note = self.get(name)
        if note is not None:
            self.remove(name)
            raise TwinEndedError(f"the {who} has ended: {note}")

    def say_left(self, name: str, reason: BaseException) -> None:
        """Tell the other why this twin has ended, unless that is the other's end.

        Whoever is told takes the note away, so that it does not mislead a second try.
        """
        if _is_of_the_other(reason):
            return
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        why = f"{type(reason).__name__}: {reason}"
        if isinstance(reason, SystemExit | KeyboardInterrupt):
            why = "it was terminated"
        try:
            self.put(name, f"{why} ({socket.gethostname()}, {when})")
        except Exception:  # the reason itself goes on
            logger.exception("the twin of %s cannot be told", self.key)


def _is_of_the_other(reason: BaseException | None) -> bool:
    """Whether a twin ends because it was told, or has lost the other."""
    while reason is not None:
        if isinstance(reason, PeerError) and not isinstance(reason, AbsentError):
            return True
        reason = reason.__cause__ or reason.__context__
    return False


class TwinPartner:
    """The partner of a learner whose parent is a job of its own."""

    restarts = 0
    paused_time = 0.0
    """The parent's job counts its own pauses."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._looked = -LOOK

    @property
    def name(self) -> str:
        """With the key, by which the parent's job is found."""
        return f"parent twin of {self._meeting.key}"

    @property
    def folder(self) -> Path:
        """As the settings say."""
        return Settings().socket_path

    def come(self, listener: Listener, token: str, _: Atoms) -> None:
        """Let the parent's job know where to come to."""
        self._meeting.remove(LEARNER_LEFT)
        logger.info(
            "waiting up to %g s for the parent of %s (on the command line: finetuna-flows serve "
            "--twin %s); notes are in %s",
            self._meeting.patience.meet,
            self._meeting.key,
            self._meeting.key,
            self._meeting.rendezvous,
        )
        invitation = Invitation(tuple(map(str, listener.addresses)), token, socket.gethostname())
        self._meeting.put(INVITATION, json.dumps(asdict(invitation)))

    def admit(self, newcomer: Connection, token: str) -> Driver:
        """Take the one that knows the token."""
        return Driver.admit_ours(newcomer, token)

    def watch(self) -> None:
        """Raise TwinEndedError if the parent's job has ended, and said so."""
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            self._meeting.listen(PARENT_LEFT, self.name)

    def rest(self) -> None:
        """Its processors are its own."""

    def resume(self) -> None:
        """It never rested."""

    def leave(self, *, ended: bool) -> None:  # noqa: ARG002 - of the protocol
        """Take the invitation away."""
        self._meeting.remove(INVITATION)


class Attendance:
    """The parent's job while its process serves: it passes notes on, and ends what is left."""

    def __init__(self, process: ServiceProcess, meeting: Meeting) -> None:
        self._process = process
        self._meeting = meeting
        self._who = f"learner twin of {meeting.key}"
        self._known: str | None = None
        self._ended: TwinEndedError | None = None
        self._until = math.inf

    def run(self) -> None:
        """Wait for the process to end.

        Raises
        ------
        ParentError, StructureError, CheckpointError, ValueError, TypeError, PeerError
            What ended it, if it was not the learner's word that it has finished.
        """
        looked = -LOOK
        try:
            while self._process.companion.exit_code is None:
                if time.monotonic() - looked >= LOOK:
                    looked = time.monotonic()
                    self._pass_on()
                time.sleep(POLL)
            if self._process.companion.exit_code != 0:
                self._raise_cause()
        except (SystemExit, KeyboardInterrupt) as exc:
            self._process.end()
            if self._learner_leaves():
                raise exc from TwinEndedError(f"the {self._who} has left")  # needs no telling
            raise
        finally:
            self._process.end()
        self._meeting.remove(LEARNER_LEFT, PARENT_LEFT)

    def _learner_leaves(self) -> bool:
        """Whether a learner that was met has seen by itself that its parent is gone."""
        deadline = time.monotonic() + FAREWELL
        while self._known is not None and time.monotonic() < deadline:
            if self._meeting.get(INVITATION) is None:
                return True
            time.sleep(POLL)
        return False

    def _pass_on(self) -> None:
        note = self._meeting.get(INVITATION)
        if note is not None and note != self._known:
            self._process.invite(Invitation.from_json(note))
            self._known = note
        try:
            self._meeting.listen(LEARNER_LEFT, self._who)
        except TwinEndedError as exc:
            patience = self._meeting.patience
            self._ended, self._until = exc, time.monotonic() + patience.grace + patience.close
            self._process.invite(Invitation((), "", "", withdrawn=str(exc)))
        if self._ended is not None and time.monotonic() > self._until:
            raise self._ended  # the process is frozen

    def _raise_cause(self) -> None:
        """Raise what ended the process; where that is the learner's loss, the learner's words."""
        try:
            self._process.check()
        except PeerError as exc:
            self._meeting.listen(LEARNER_LEFT, self._who)
            if self._ended is not None:
                raise self._ended from exc
            place = f"; notes are in {self._meeting.rendezvous}"
            where = place if isinstance(exc, AbsentError) else ""
            raise type(exc)(f"{self._who}: {exc}{where}") from exc
