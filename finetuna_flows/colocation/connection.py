"""One connected socket: whole messages, each with a deadline, while somebody watches the peer."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import Self

from finetuna_flows.colocation import ipi
from finetuna_flows.errors import AbsentError, PeerError, ProtocolError

Watch = Callable[[], None]
"""Raises PeerError as soon as it is known that the peer will not answer."""

LOOK = 0.2
"""Seconds; how often the watch is asked while nothing comes."""
SEND_PATIENCE = 60.0
"""Seconds until the peer must have taken a message."""
REST_OF_MESSAGE = 60.0
"""Seconds until the rest of a message must be there once it has begun."""
UNACKNOWLEDGED = 30_000
"""Milliseconds that what was sent may stay unacknowledged: keepalive does not look then."""
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""Seconds of silence before the kernel asks whether the other machine is there, seconds between
such questions, and how many may stay unanswered."""
CHUNK = 2**20


def nobody_watches() -> None:
    """Nothing is known of the peer besides its socket."""


class Connection:
    """A connected socket; a context manager that closes it.

    Parameters
    ----------
    connected
        Taken over.
    peer
        How it is called in messages.
    """

    def __init__(self, connected: socket.socket, peer: str) -> None:
        self.peer = peer
        self._socket = connected
        connected.setblocking(False)
        if connected.family == socket.AF_INET:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED)
            for option, value in KEEPALIVE:
                connected.setsockopt(socket.IPPROTO_TCP, option, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Of the socket, for those who wait for several."""
        return self._socket.fileno()

    def hang_up(self) -> None:
        """End what another thread may be waiting for here."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the peer read the end."""
        self._socket.close()

    @property
    def is_lost(self) -> bool:
        """Whether the peer has closed its end, as far as the kernel knows."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return any(
            happened & (select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL)
            for _, happened in poll.poll(0)
        )

    def send(self, *parts: bytes, patience: float = SEND_PATIENCE) -> None:
        """Send all of it.

        Raises
        ------
        PeerError
            If the peer is gone, or does not take it in time.
        """
        rest = memoryview(b"".join(parts))
        deadline = time.monotonic() + patience
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError as exc:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PeerError(
                        f"{self.peer} did not take a message within {patience:g} s"
                    ) from exc
                _wait_for(self._socket, select.POLLOUT, left)
            except OSError as exc:
                raise self._gone(exc) from exc

    def receive(
        self, count: int, patience: float = REST_OF_MESSAGE, watch: Watch = nobody_watches
    ) -> bytes:
        """Receive exactly so many bytes.

        Raises
        ------
        PeerError
            If the peer is gone, as it or `watch` tells, or they are not there in time.
        """
        received = bytearray()
        deadline = time.monotonic() + patience
        while len(received) < count:
            try:
                chunk = self._socket.recv(min(CHUNK, count - len(received)))
            except BlockingIOError:
                self._wait(deadline, patience, watch, f"{len(received)} of {count} bytes")
            except OSError as exc:
                raise self._gone(exc) from exc
            else:
                if not chunk:
                    watch()  # may know why
                    raise self._gone(None)
                received += chunk
        return bytes(received)

    def receive_word(
        self, *expected: str, patience: float = REST_OF_MESSAGE, watch: Watch = nobody_watches
    ) -> str:
        """Receive the next word.

        Raises
        ------
        ProtocolError
            If it is none of `expected`, where these are given.
        PeerError
            As `receive`.
        """
        data = self.receive(ipi.WORD, patience, watch)
        word = data.decode("ascii", errors="replace").rstrip()
        if expected and word not in expected:
            raise ProtocolError(
                f"{self.peer} sent {data!r} where {' or '.join(expected)} was expected"
            )
        return word

    def receive_count(self, what: str, limit: int, exactly: int | None = None) -> int:
        """Receive how many there are of something.

        Raises
        ------
        ProtocolError
            If that is negative or above the limit, or not what it must be.
        """
        count = ipi.read_integer(self.receive(ipi.INTEGER.itemsize))
        if exactly is not None and count != exactly:
            raise ProtocolError(f"{self.peer} announced {count} {what} but {exactly} were expected")
        if not 0 <= count <= limit:
            raise ProtocolError(
                f"{self.peer} announced {count} {what} but 0 to {limit} are accepted"
            )
        return count

    def receive_text(self) -> bytes:
        """Receive the text behind a word."""
        return self.receive(self.receive_count("bytes of text", ipi.TEXT_LIMIT))

    def receive_ours(self) -> ipi.Json:
        """Receive the JSON object behind a word.

        Raises
        ------
        ProtocolError
            If it is something else.
        """
        content = self.receive_text()
        read = ipi.read_ours(content)
        if read is None:
            raise ProtocolError(f"{self.peer} sent {content[:60]!r} where our JSON was expected")
        return read

    def _wait(self, deadline: float, patience: float, watch: Watch, got: str) -> None:
        watch()
        left = deadline - time.monotonic()
        if left <= 0:
            raise AbsentError(f"{self.peer} was silent for {patience:g} s ({got} came)")
        _wait_for(self._socket, select.POLLIN, min(left, LOOK))

    def _gone(self, cause: OSError | None) -> PeerError:
        words = f": {cause.strerror or cause}" if cause else ""
        return PeerError(f"{self.peer} closed the connection{words}")


def _wait_for(connected: socket.socket, event: int, patience: float) -> None:
    """Wait until something can be done; select(2) knows the first 1024 descriptors only."""
    poll = select.poll()
    poll.register(connected, event)
    poll.poll(1000 * patience)
