"""MongoDB's wire protocol: messages in, messages out, each of bounded size.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ - OP_MSG, and OP_QUERY for the
first greeting, in which a driver does not know yet what it talks to.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson

Document = Mapping[str, Any]
HEADER = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM_PRESENT, MORE_TO_COME = 1, 2
LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Bytes, as in MongoDB."""
LARGEST_MESSAGE = 48_000_000
"""Bytes, as in MongoDB."""


class WireError(Exception):
    """Bytes that are no message, or too many of them: the connection ends."""


@dataclass(frozen=True)
class Request:
    """One command."""

    number: int
    command: dict[str, Any]
    legacy: bool
    """Came as OP_QUERY."""
    silent: bool
    """Wants no answer."""
    largest: int
    """Bytes of the largest document in it."""


def read_request(connection: socket.socket, largest: int) -> Request | None:
    """Wait for the next message of at most `largest` bytes; None where the other side has left.

    Raises
    ------
    WireError
        If it is too large, cut off, or none that is known here.
    """
    start = _read(connection, HEADER.size)
    if start is None:
        return None
    length, number, _, operation = HEADER.unpack(start)
    if not HEADER.size <= length <= largest:
        raise WireError(f"a message of {length} bytes; {largest} are allowed")
    body = _read(connection, length - HEADER.size)
    if body is None:
        raise WireError("the message ends after its header")
    try:
        if operation == OP_MSG:
            return _parse_msg(number, body)
        if operation == OP_QUERY:
            return _parse_query(number, body)
    except (bson.errors.BSONError, struct.error, ValueError) as problem:
        raise WireError(str(problem)) from problem
    raise WireError(f"operation {operation} is not known")


def write_answer(connection: socket.socket, request: Request, answer: Document) -> None:
    """Answer a request."""
    if request.silent:
        return
    document = bson.encode(answer)
    if request.legacy:
        body, operation = struct.pack("<iqii", 8, 0, 0, 1) + document, OP_REPLY
    else:
        body, operation = struct.pack("<IB", 0, 0) + document, OP_MSG
    header = HEADER.pack(HEADER.size + len(body), 0, request.number, operation)
    connection.sendall(header + body)


def _read(connection: socket.socket, length: int) -> bytes | None:
    """So many bytes; None where there are no more."""
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _parse_msg(number: int, body: bytes) -> Request:
    """A document, and lists of documents that stand outside it."""
    (flags,) = struct.unpack_from("<I", body)
    end = len(body) - (4 if flags & CHECKSUM_PRESENT else 0)
    command: dict[str, Any] = {}
    lists: dict[str, list[dict[str, Any]]] = {}
    sizes = [0]
    at = 4
    while at < end:
        kind, (size,) = body[at], struct.unpack_from("<i", body, at + 1)
        section = body[at + 1 : at + 1 + size]
        if kind == 0:
            command = bson.decode(section)
        elif kind == 1:
            name, documents = section[4:].split(b"\0", 1)
            lists[name.decode()] = bson.decode_all(documents)
            sizes += _sizes(documents)
        else:
            raise WireError(f"a section of kind {kind}")
        at += 1 + size
    return Request(number, command | lists, False, bool(flags & MORE_TO_COME), max(sizes))


def _sizes(documents: bytes) -> list[int]:
    """Bytes of each."""
    sizes, at = [], 0
    while at < len(documents):
        sizes.append(struct.unpack_from("<i", documents, at)[0])
        at += sizes[-1]
    return sizes


def _parse_query(number: int, body: bytes) -> Request:
    """Flags, a collection's name, two numbers, the document."""
    name_end = body.index(b"\0", 4) + 1
    (size,) = struct.unpack_from("<i", body, name_end + 8)
    command = bson.decode(body[name_end + 8 : name_end + 8 + size])
    name = body[4 : name_end - 1].decode().split(".", 1)[0]
    return Request(number, {**command, "$db": name}, True, False, 0)
