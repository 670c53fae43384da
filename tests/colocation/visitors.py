"""Newcomers at a learner's door: strangers, and the parent after them, each in a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ase import Atoms

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.address import Address
from finetuna_flows.colocation.client import Client
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.proof import new_token, prove
from finetuna_flows.errors import PeerError
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.settings import Settings

PATIENCE = 30.0
"""Seconds for whatever a visitor waits for."""

Visit = Callable[[Sequence[Address], str], None]
"""Where the learner listens, and the token of the run."""


class Door:
    """The partner of a learner to whom visitors come, one after the other.

    Parameters
    ----------
    visits
        In the order in which they happen; each begins when the one before has ended.
    """

    name = "parent"
    restarts = 0
    paused_time = 0.0

    def __init__(self, *visits: Visit) -> None:
        self._visits = visits
        self._thread = threading.Thread()
        self._problem: Exception | None = None

    @property
    def folder(self) -> Path:
        """As the settings say."""
        return Settings().socket_path

    def come(self, listener: Listener, token: str, _: Atoms) -> None:
        """Let them come."""

        def visit() -> None:
            try:
                for each in self._visits:
                    each(listener.addresses, token)
            except Exception as problem:  # noqa: BLE001 - it fails the test, in its own thread
                self._problem = problem

        self._thread = threading.Thread(target=visit, daemon=True)
        self._thread.start()

    def admit(self, newcomer: Connection, token: str) -> Driver:
        """Take the one that knows the token."""
        return Driver.admit_ours(newcomer, token)

    def watch(self) -> None:
        """Pass on what went wrong with a visitor."""
        if self._problem is not None:
            raise self._problem

    def rest(self) -> None:
        """Nobody polls."""

    def resume(self) -> None:
        """Nobody rested."""

    def leave(self, *, ended: bool) -> None:
        """Wait until all have gone."""
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        self.watch()


def parent_in(directory: Path) -> Visit:
    """EMT, served until the learner has finished."""

    def visit(addresses: Sequence[Address], token: str) -> None:
        with Connection(addresses[-1].connect(PATIENCE), "the learner") as connection:
            serve(connection, directory, token)

    return visit


def serve(connection: Connection, directory: Path, token: str) -> None:
    """Serve EMT on a connection as the parent's process does."""
    parent = AseParentSpec().build()
    client = Client(connection, parent, directory, token, idle=PATIENCE)
    with client.entered:
        client.serve()
    client.finish()
    client.say_closed(None)


def impostor(received: bytearray) -> Visit:
    """One that speaks the protocol but guesses the token; keeps every byte that it is told."""

    def visit(addresses: Sequence[Address], _: str) -> None:
        with addresses[-1].connect(PATIENCE) as connected:
            received.extend(connected.recv(ipi.WORD, socket.MSG_WAITALL))
            connected.sendall(ipi.word(ipi.NEEDINIT))
            mine = new_token()
            false = prove(new_token(), "parent", mine, mine)
            said = ipi.text(ipi.ours(proof=false, challenge=mine))
            connected.sendall(ipi.word(ipi.PROOF) + said + ipi.word(ipi.READY))
            with suppress(ConnectionResetError):
                while chunk := connected.recv(2**16):
                    received.extend(chunk)

    return visit


def guesser(directory: Path) -> Visit:
    """A parent of ours, of another run."""

    def visit(addresses: Sequence[Address], _: str) -> None:
        connected = addresses[-1].connect(PATIENCE)
        with Connection(connected, "the learner") as connection, suppress(PeerError):
            serve(connection, directory, new_token())
            raise AssertionError("it was served")

    return visit


def saying(*said: bytes) -> Visit:
    """One that says these bytes, whatever it hears, and waits to be turned away."""

    def visit(addresses: Sequence[Address], _: str) -> None:
        with addresses[-1].connect(PATIENCE) as connected, suppress(ConnectionError):
            for each in said:
                connected.sendall(each)
            while connected.recv(2**16):
                pass

    return visit


def crowd(count: int, said: bytes, stay: list[socket.socket]) -> Visit:
    """Many at once that say the same and stay until somebody closes their sockets in `stay`."""

    def visit(addresses: Sequence[Address], _: str) -> None:
        for _number in range(count):
            stay.append(addresses[-1].connect(PATIENCE))
            with suppress(OSError):  # it may be turned away in the middle
                stay[-1].sendall(said)
            time.sleep(0.003)  # the kernel lets those wait for a second that come too fast

    return visit
