"""Where the learner waits for its parent; strangers are turned away and do no harm."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

from finetuna_flows.colocation.address import (
    PATH_LIMIT,
    Address,
    TcpAddress,
    UnixAddress,
    interface_address,
)
from finetuna_flows.colocation.connection import LOOK, Connection, Watch, nobody_watches
from finetuna_flows.colocation.newcomer import Newcomer
from finetuna_flows.errors import AbsentError

logger = logging.getLogger(__name__)

PREFIX = "ipi_"
"""Engines that speak i-PI put it before the name of a UNIX socket, and ``/tmp/`` before that."""
OURS = f"{PREFIX}finetuna_"
SOCKET = "s"
"""Short, since NWChem (7.0) takes 20 characters of a name at most: 19 with that of the folder."""
LOCK = "lock"
"""Held for as long as somebody listens."""
BACKLOG = 16
UNDECIDED = 32
"""Connections that may be looked at at once; the oldest gives way."""
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
        _sweep(folder)
        self._folder = Path(tempfile.mkdtemp(prefix=OURS, dir=folder))
        self._lock = (self._folder / LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
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
        self._lock.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def meet(
        self,
        admit: Callable[[Connection], T],
        patience: float,
        watch: Watch = nobody_watches,
        awaited: str = "parent",
    ) -> T:
        """Wait for the one newcomer that `admit` takes, and return what that makes of it.

        A newcomer is asked for its ``STATUS`` and shown to `admit`, each in a thread of its own;
        `admit` raises PeerError for one that is not the parent.

        Raises
        ------
        AbsentError, PeerError
            If none comes in time, or `watch` knows that none will.
        """
        newcomers: list[Newcomer[T]] = []
        deadline = time.monotonic() + patience
        wake, woken = socket.socketpair()
        try:
            while True:
                watch()
                left = deadline - time.monotonic()
                if left <= 0:
                    where = " or ".join(map(str, self.addresses))
                    raise AbsentError(
                        f"the {awaited} did not come to {where} within {patience:g} s"
                    )
                for each in _readable([*self._listening, woken], min(LOOK, left)):
                    if each is woken:
                        woken.recv(1)
                    elif (connection := self._accept(each)) is not None:
                        newcomers.append(Newcomer(connection, admit, wake))
                for newcomer in [each for each in newcomers if each.is_judged]:
                    newcomers.remove(newcomer)
                    if newcomer.is_admitted():
                        return newcomer.found()
                while len(newcomers) > UNDECIDED:
                    newcomers.pop(0).turn_away()
        finally:
            for newcomer in newcomers:
                newcomer.turn_away()
            wake.close()
            woken.close()

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
        try:
            port = self._listen(socket.AF_INET, (host, 0)).getsockname()[1]
        except OSError as exc:
            raise ValueError(f"interface is at {host}, which is not here: {exc.strerror}") from exc
        return UnixAddress(str(path)), TcpAddress(host, port)

    def _listen(self, family: int, where: str | tuple[str, int]) -> socket.socket:
        listening = socket.socket(family, socket.SOCK_STREAM)
        self._listening.append(listening)
        listening.bind(where)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        return listening

    def _accept(self, listening: socket.socket) -> Connection | None:
        """The next connection; None if it has gone again, or is another user's."""
        try:
            accepted, where = listening.accept()
        except OSError:
            return None
        newcomer = Connection(accepted, "a newcomer" if not where else f"{where[0]}:{where[1]}")
        if listening.family == socket.AF_UNIX and not _is_allowed(accepted):
            logger.warning("another user's process connected and is turned away")
            newcomer.close()
            return None
        return newcomer


def _readable(sockets: Sequence[socket.socket], patience: float) -> list[socket.socket]:
    with selectors.DefaultSelector() as selector:
        for each in sockets:
            selector.register(each, selectors.EVENT_READ)
        return [
            each for key, _ in selector.select(patience) for each in sockets if each is key.fileobj
        ]


def _sweep(home: Path) -> None:
    """Remove this user's folders whose listeners were killed."""
    for folder in home.glob(f"{OURS}*"):
        with contextlib.suppress(OSError):  # others sweep too, or it is in use
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


def _is_allowed(accepted: socket.socket) -> bool:
    """Whether the process at the other end of a UNIX socket is this user's, or root's."""
    raw = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    return user in (0, os.getuid())
