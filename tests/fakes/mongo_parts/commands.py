"""MongoDB's commands, carried out by mongomock one at a time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import mongomock_ng

from tests.fakes.mongo_parts.reads import Reads
from tests.fakes.mongo_parts.statements import (
    COMMAND_NOT_FOUND,
    ILLEGAL_OPERATION,
    TOO_LARGE,
    Answer,
    CommandTable,
    explain,
    failure,
)
from tests.fakes.mongo_parts.wire import LARGEST_DOCUMENT, LARGEST_MESSAGE, Request
from tests.fakes.mongo_parts.writes import Writes

VERSION = [7, 0, 0, 0]
WIRE_VERSION = 21
"""Of that version."""
SLACK = 16 * 1024
"""Bytes that a statement may have around its document, as in MongoDB."""


class Commands:
    """One server's state; many threads may ask at a time."""

    def __init__(self) -> None:
        client: Any = mongomock_ng.MongoClient()
        self._lock = threading.Lock()
        self._reads = Reads(client)
        self._table: CommandTable = {
            "buildinfo": lambda _: {"version": "7.0.0", "versionArray": VERSION},
            "endsessions": lambda _: {},
            "hello": lambda _: _hello(),
            "ismaster": lambda _: _hello(),
            "ping": lambda _: {},
            **self._reads.table(),
            **Writes(client).table(),
        }

    @property
    def open_cursors(self) -> int:
        """Those that nobody has read to the end or closed."""
        return len(self._reads.cursors)

    def answer(self, request: Request) -> Answer:
        """Carry out a command; a failure is an answer too."""
        name = next(iter(request.command), "")
        carry_out = self._table.get(name.lower())
        if carry_out is None:
            return failure(COMMAND_NOT_FOUND, f"no such command: '{name}'")
        if "startTransaction" in request.command:
            return failure(ILLEGAL_OPERATION, "transactions need a replica set")
        if request.largest > LARGEST_DOCUMENT + SLACK:
            return failure(TOO_LARGE, f"a document of {request.largest} bytes is too large")
        try:
            with self._lock:
                return {**carry_out(request.command), "ok": 1.0}
        except Exception as problem:  # noqa: BLE001 - sent to the client whole
            return explain(problem)


def _hello() -> Answer:
    """What a single server says of itself."""
    return {
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": LARGEST_DOCUMENT,
        "maxMessageSizeBytes": LARGEST_MESSAGE,
        "maxWriteBatchSize": 100_000,
        "localTime": datetime.now(UTC),
        "logicalSessionTimeoutMinutes": 30,
        "minWireVersion": 0,
        "maxWireVersion": WIRE_VERSION,
        "readOnly": False,
    }
