"""Where the learner waits for its parent; strangers are turned away and do no harm."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.address import (
    PATH_LIMIT,
    Address,
    TcpAddress,
    UnixAddress,
    interface_address,
)
from finetuna_flows.colocation.connection import LOOK, Connection, Watch, nobody_watches
from finetuna_flows.errors import PeerError

logger = logging.getLogger(__name__)

PREFIX = "ipi_"
"""Engines that speak i-PI put it before the name of a UNIX socket, and ``/tmp/`` before that."""
SOCKET = "socket"
BACKLOG = 16
CANDIDATES = 32
"""Connections that may be undecided at once; the oldest gives way."""
FIRST_WORD = 10.0
"""Seconds until a newcomer must have said its first word."""
CREDENTIALS = struct.Struct("3i")
"""Process, user and group of a UNIX socket's peer: unix(7)."""

T = TypeVar("T")


class Listener:
    """Sockets on which the parent is awaited; a context manager that closes and removes them.

    Parameters
    ----------
    folder
        Where a private folder (0700) with the UNIX socket is made.
    interface
        On which TCP is listened to as well; None: not at all.

    Raises
    ------
    ValueError
        If there is no such interface, or the path of the socket is too long.
    """

    def __init__(self, folder: Path, interface: str | None = None) -> None:
        host = None if interface is None else interface_address(interface)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}finetuna_", dir=folder))
        self._listening: list[socket.socket] = []
        try:
            self.addresses: tuple[Address, ...] = self._bind(host)
            """The UNIX socket first."""
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Of the UNIX socket, as engines take it that look for it below ``/tmp/ipi_``."""
        return f"{self._folder.name.removeprefix(PREFIX)}/{SOCKET}"

    def close(self) -> None:
        """Listen no more; the private folder goes."""
        for each in self._listening:
            each.close()
        self._listening = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def meet(
        self,
        admit: Callable[[Connection], T],
        patience: float,
        watch: Watch = nobody_watches,
        awaited: str = "parent",
    ) -> T:
        """Wait for the one newcomer that `admit` takes, and return what that makes of it.

        A newcomer is asked for its ``STATUS`` and shown to `admit` when it has said something.
        `admit` raises PeerError for one that is not the parent.

        Raises
        ------
        PeerError
            If none comes in time, or `watch` knows that none will.
        """
        candidates: dict[int, tuple[Connection, float]] = {}
        deadline = time.monotonic() + patience
        try:
            while True:
                watch()
                now = time.monotonic()
                if now > deadline:
                    where = " or ".join(map(str, self.addresses))
                    raise PeerError(f"the {awaited} did not come to {where} within {patience:g} s")
                self._turn_silent_away(candidates, now)
                listening = {each.fileno(): each for each in self._listening}
                wait = min(LOOK, max(0.0, deadline - now))
                ready, _, _ = select.select([*listening, *candidates], (), (), wait)
                for number in ready:
                    if number in listening:
                        self._accept(listening[number], candidates)
                    elif number in candidates:
                        connection, _ = candidates.pop(number)
                        with _closed_unless_admitted(connection):
                            return admit(connection)
        finally:
            for connection, _ in candidates.values():
                connection.close()

    def _bind(self, host: str | None) -> tuple[Address, ...]:
        path = self._folder / SOCKET
        if len(os.fsencode(path)) > PATH_LIMIT:
            raise ValueError(
                f"{path} is longer than the {PATH_LIMIT} bytes a UNIX socket's path may have; set "
                "FINETUNA_FLOWS_SOCKET_PATH to a shorter folder"
            )
        self._listen(socket.AF_UNIX, str(path))
        if host is None:
            return (UnixAddress(str(path)),)
        port = self._listen(socket.AF_INET, (host, 0)).getsockname()[1]
        return UnixAddress(str(path)), TcpAddress(host, port)

    def _listen(self, family: int, where: str | tuple[str, int]) -> socket.socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        self._listening.append(listening)
        listening.bind(where)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        return listening

    def _accept(
        self, listening: socket.socket, candidates: dict[int, tuple[Connection, float]]
    ) -> None:
        try:
            accepted, where = listening.accept()
        except OSError:  # it has gone again
            return
        newcomer = Connection(accepted, "a newcomer" if not where else f"{where[0]}:{where[1]}")
        if listening.family == socket.AF_UNIX and not _is_allowed(accepted):
            logger.warning("another user's process connected and is turned away")
            newcomer.close()
            return
        if len(candidates) >= CANDIDATES:
            oldest = next(iter(candidates))
            candidates.pop(oldest)[0].close()
        with contextlib.suppress(PeerError):
            newcomer.send(ipi.word(ipi.STATUS), patience=1.0)
            candidates[newcomer.fileno()] = newcomer, time.monotonic() + FIRST_WORD
            return
        newcomer.close()

    def _turn_silent_away(
        self, candidates: dict[int, tuple[Connection, float]], now: float
    ) -> None:
        for number, (connection, until) in list(candidates.items()):
            if now > until:
                logger.warning("%s connected, said nothing and is turned away", connection.peer)
                connection.close()
                del candidates[number]


@contextlib.contextmanager
def _closed_unless_admitted(connection: Connection) -> Iterator[None]:
    """Turn a newcomer away that is not the parent."""
    try:
        yield
    except PeerError as exc:
        connection.close()
        logger.warning("a connection was turned away: %s", exc)
    except BaseException:
        connection.close()
        raise


def _is_allowed(accepted: socket.socket) -> bool:
    """Whether the process at the other end of a UNIX socket is this user's, or root's."""
    raw = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    return user in (0, os.getuid())
