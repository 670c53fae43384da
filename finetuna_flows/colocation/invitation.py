"""How the parent finds the learner: a small file that says where it listens, and the token."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from finetuna_flows.colocation.address import parse_address
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.errors import AbsentError, PeerError

CONNECT_PATIENCE = 10.0
"""Seconds for one address."""
LOOK = 0.2
"""Seconds; how often a local file is looked for."""


@dataclass(frozen=True)
class Invitation:
    """Where a learner listens, and what proves that one is meant."""

    addresses: tuple[str, ...]
    """In the order in which they are to be tried."""
    token: str
    """Of the run; whoever knows it may answer for the parent."""
    host: str = ""
    """Of the learner."""
    withdrawn: str = ""
    """Why nobody is there any more; empty while somebody is."""

    def write(self, path: Path) -> None:
        """Put it where only this user may read it, whole or not at all."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    @classmethod
    def read(cls, path: Path) -> Invitation | None:
        """What is there; None if nothing is."""
        try:
            return cls.from_json(path.read_text())
        except FileNotFoundError:
            return None

    @classmethod
    def from_json(cls, text: str) -> Invitation:
        """Undo what `write` writes."""
        said = json.loads(text)
        return cls(tuple(said["addresses"]), said["token"], said["host"], said["withdrawn"])

    def accept(self) -> Connection:
        """Connect to the first address that answers.

        Raises
        ------
        PeerError
            If none does, with the reason of each.
        """
        reasons = []
        for address in map(parse_address, self.addresses):
            if not address.is_here:
                reasons.append(f"{address} is not on this machine")
                continue
            try:
                connected = address.connect(CONNECT_PATIENCE)
            except OSError as exc:
                reasons.append(f"{address}: {exc.strerror or exc}")
                continue
            return Connection(connected, f"the learner on {self.host or address}")
        hint = ""
        if not any(each.startswith("tcp:") for each in self.addresses):
            hint = "; between machines set FINETUNA_FLOWS_INTERFACE where the learner runs"
        if not self.host:
            raise PeerError(f"nobody answers: {', '.join(reasons)}; start what listens there first")
        raise PeerError(
            f"the learner on {self.host} cannot be reached ({', '.join(reasons)}){hint}"
        )


def join(
    read: Callable[[], Invitation | None], patience: float, where: str, look: float = LOOK
) -> tuple[Connection, Invitation]:
    """Wait for an invitation that leads somewhere; one that does not may be of an earlier try.

    Parameters
    ----------
    read
        The newest invitation, or None.
    patience
        Seconds.
    where
        It is looked for, in words.
    look
        Seconds between two looks.

    Raises
    ------
    PeerError
        If there is none in time, or none that leads to a learner.
    """
    deadline = time.monotonic() + patience
    reason = f"nothing lies in {where}"
    while True:
        invitation = read()
        if invitation is not None:
            if invitation.withdrawn:
                raise PeerError(invitation.withdrawn)
            try:
                return invitation.accept(), invitation
            except PeerError as exc:
                reason = str(exc)
        if time.monotonic() > deadline:
            raise AbsentError(f"the learner did not come within {round(patience, 1):g} s: {reason}")
        time.sleep(min(look, max(0.0, deadline - time.monotonic())))
