"""A stand-in for a MongoDB server: its wire protocol on a loopback port, mongomock behind it.

    with MongoServer() as server:
        MongoClient(server.uri)

    python -m tests.fakes.mongo --port-file FILE

The second form serves until SIGTERM or SIGINT; the port is in FILE once it listens. All that is
stored is in memory. Commands are carried out one after the other, each whole. **Passing here says
nothing of MongoDB's concurrency, durability or speed**: a real server interleaves, fails over, and
refuses a document that updates have made too large (here only what is sent is measured). It knows
no users, transactions, change streams or collations; what it does not know it refuses.
"""

from __future__ import annotations

import argparse
import signal
import socket
import socketserver
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fakes.mongo_parts.commands import Commands
from tests.fakes.mongo_parts.wire import LARGEST_MESSAGE, WireError, read_request, write_answer

LOOPBACK = "127.0.0.1"
LOOK = 0.05
"""Seconds; how soon it notices that it should end."""


class _Conversation(socketserver.BaseRequestHandler):
    """One client's connection."""

    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        """Answer until either side leaves."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (request := read_request(self.request, self.server.largest)) is not None:
                write_answer(self.request, request, self.server.commands.answer(request))
        except (WireError, ConnectionError):
            return


class _Listener(socketserver.ThreadingTCPServer):
    """A thread for each connection; all of them end with it."""

    def __init__(self, largest: int) -> None:
        super().__init__((LOOPBACK, 0), _Conversation)
        self.largest = largest
        self.commands = Commands()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that it can be ended."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections, whatever their clients do."""
        with self._lock:
            for each in self._connections:
                with suppress(OSError):  # the client was faster
                    each.shutdown(socket.SHUT_RDWR)


class MongoServer:
    """A server in threads of this process.

    Parameters
    ----------
    largest
        Bytes of the largest message that is taken.
    """

    def __init__(self, largest: int = LARGEST_MESSAGE) -> None:
        self._listener = _Listener(largest)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(LOOK,))

    @property
    def port(self) -> int:
        """Where it listens, on the loopback interface only."""
        return int(self._listener.server_address[1])

    @property
    def uri(self) -> str:
        """What a client connects to."""
        return f"mongodb://{LOOPBACK}:{self.port}/?directConnection=true"

    @property
    def open_cursors(self) -> int:
        """Those that nobody has read to the end or closed."""
        return self._listener.commands.open_cursors

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown()
        self._listener.hang_up()
        self._listener.server_close()
        self._thread.join()


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(description="A loopback stand-in for MongoDB")
    parser.add_argument("--port-file", type=Path, required=True)
    port_file: Path = parser.parse_args().port_file
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # threads inherit it
    with MongoServer() as server:
        draft = port_file.with_name(f"{port_file.name}.part")
        draft.write_text(f"{server.port}\n")
        draft.rename(port_file)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
