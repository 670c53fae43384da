"""Somebody who has connected, and may be the parent."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.errors import PeerError

logger = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_WORD = 10.0
"""Seconds until a newcomer must have taken the first word."""


class Newcomer(Generic[T]):
    """Somebody who has connected and is judged in a thread, so that none holds up another."""

    def __init__(
        self, connection: Connection, admit: Callable[[Connection], T], wake: socket.socket
    ) -> None:
        self._connection = connection
        self._admit = admit
        self._wake = wake
        self._found: list[T] = []
        self._refusal: Exception | None = None
        self._thread = threading.Thread(target=self._judge, daemon=True)
        self._thread.start()

    @property
    def is_judged(self) -> bool:
        """Whether `admit` has come to an end."""
        return not self._thread.is_alive()

    def is_admitted(self) -> bool:
        """Whether it is the parent; raises what else `admit` raised than PeerError."""
        if self._found:
            return True
        self._connection.close()
        if not isinstance(self._refusal, PeerError):
            raise self._refusal or AssertionError("judged without a judgement")
        logger.warning("a connection was turned away: %s", self._refusal)
        return False

    def found(self) -> T:
        """What `admit` made of it."""
        return self._found[0]

    def turn_away(self) -> None:
        """End the connection, and with it the judgement."""
        self._connection.hang_up()
        self._thread.join()
        self._connection.close()

    def _judge(self) -> None:
        try:
            self._connection.send(ipi.word(ipi.STATUS), patience=FIRST_WORD)
            self._found.append(self._admit(self._connection))
        except Exception as exc:  # noqa: BLE001 - it is raised where it is waited for
            self._refusal = exc
        with contextlib.suppress(OSError):
            self._wake.send(b"!")
