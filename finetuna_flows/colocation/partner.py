"""How a parent is brought to its learner: the seam between a socket and what is behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ase import Atoms

from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.listener import Listener


class Partner(Protocol):
    """How the parent is brought to the learner, and what is known of it besides its words."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def restarts(self) -> int:
        """How often it is called again for a label where it is lost."""
        ...

    @property
    def paused_time(self) -> float:
        """Seconds that its ranks have been stopped from this side."""
        ...

    @property
    def folder(self) -> Path:
        """In which it looks for UNIX sockets."""
        ...

    def come(self, listener: Listener, token: str, atoms: Atoms) -> None:
        """Start it, or let it know; `atoms` for those who need to know them to start."""
        ...

    def admit(self, newcomer: Connection, token: str) -> Driver:
        """Make the driver of a newcomer, if it is the parent.

        Raises
        ------
        PeerError, ProtocolError
            If it is not.
        """
        ...

    def watch(self) -> None:
        """Raise what is known to have ended it."""
        ...

    def rest(self) -> None:
        """Stop what would poll on processors of the learner's."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...

    def leave(self, *, ended: bool) -> None:
        """See that nothing is left of it here; `ended`: it was told, and has ended by itself."""
        ...
