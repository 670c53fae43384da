"""The i-PI protocol as bytes: words, geometries and forces, and what we add to them.

Every message begins with a word of 12 bytes, padded with blanks; numbers are 4-byte integers and
8-byte floats of the machine, in Hartree and Bohr; matrices go by columns. After Kapil et al.,
Comput. Phys. Commun. 236, 214 (2019), and as ASE's client and server have it. The *server* sends
geometries and is the learner; the *client* answers with forces and is the parent.

What is ours, and reaches only peers that announced themselves as ours: the text of ``INIT`` is a
JSON object that carries the key `KEY`; ``PROOF``, ``PARENT``, ``RESTED`` and ``CLOSED`` are
answered with a JSON object behind the word; the *extras* of the forces are one too.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase.units import Bohr, Hartree

from finetuna_flows.errors import ProtocolError
from finetuna_flows.geometry import Array

WORD = 12
"""Bytes of a word."""
KEY = "finetuna_flows"
"""Of our JSON objects; its value is `VERSION`."""
VERSION = 1

STATUS, INIT, POSDATA, GETFORCE, EXIT = "STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT"
NEEDINIT, READY, HAVEDATA, FORCEREADY = "NEEDINIT", "READY", "HAVEDATA", "FORCEREADY"
PROOF, PARENT, REST, RESTED, CLOSED = "PROOF", "PARENT", "REST", "RESTED", "CLOSED"

TEXT_LIMIT = 2**24
"""Bytes of a text that are read at most: a structure of a hundred thousand atoms."""
ATOMS_LIMIT = 2**20
"""Atoms that are believed where their number is not known."""
INTEGER = np.dtype("<i4")
FLOAT = np.dtype("<f8")

Json = dict[str, Any]


def word(text: str) -> bytes:
    """A word, padded."""
    return text.encode("ascii").ljust(WORD)


def integer(number: int) -> bytes:
    """Four bytes."""
    return INTEGER.type(number).tobytes()


def floats(values: Array) -> bytes:
    """Eight bytes each, by rows."""
    return np.ascontiguousarray(values, dtype=FLOAT).tobytes()


def read_integer(data: bytes) -> int:
    """Undo `integer`."""
    return int(np.frombuffer(data, INTEGER)[0])


def read_floats(data: bytes) -> Array:
    """Undo `floats`, flat."""
    return np.frombuffer(data, FLOAT).astype(np.float64)


def text(content: str) -> bytes:
    """Its length, then itself; one blank where there is nothing, since some peers need a byte."""
    encoded = content.encode() or b" "
    return integer(len(encoded)) + encoded


def ours(**content: object) -> str:
    """A JSON object that says that it is ours."""
    return json.dumps({KEY: VERSION, **content})


def read_ours(content: bytes) -> Json | None:
    """Undo `ours`; None for anything else.

    Raises
    ------
    ProtocolError
        If it is ours, but of another version.
    """
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or KEY not in read:
        return None
    if read[KEY] != VERSION:
        raise ProtocolError(
            f"the other half speaks version {read[KEY]!r} of the protocol but this one speaks "
            f"{VERSION}; install the same version of finetuna-flows on both sides"
        )
    return read


def geometry(cell: Array, positions: Array) -> bytes:
    """What follows ``POSDATA``, of a cell (3, 3) by rows and positions (n, 3), both in Å."""
    parts = (
        floats(cell.T / Bohr),
        floats(np.linalg.pinv(cell).T.astype(np.float64) * Bohr),
        integer(len(positions)),
        floats(positions / Bohr),
    )
    return b"".join(parts)


def read_cell(data: bytes) -> Array:
    """The cell (3, 3) by rows in Å, from the 72 bytes behind ``POSDATA``."""
    return read_floats(data).reshape(3, 3).T * Bohr


def read_positions(data: bytes) -> Array:
    """Positions (n, 3) in Å."""
    return read_floats(data).reshape(-1, 3) * Bohr


def answer(energy: float, forces: Array, extras: str) -> bytes:
    """What follows ``FORCEREADY``, of eV and eV/Å; the virial is zero, for cells are fixed here."""
    parts = (
        floats(np.array([energy / Hartree])),
        integer(len(forces)),
        floats(np.multiply(forces, Bohr / Hartree)),
        floats(np.zeros((3, 3))),
        text(extras),
    )
    return b"".join(parts)


def read_energy(data: bytes) -> float:
    """An energy in eV."""
    return float(read_floats(data)[0]) * Hartree


def read_forces(data: bytes) -> Array:
    """Forces (n, 3) in eV/Å."""
    return read_floats(data).reshape(-1, 3) * (Hartree / Bohr)
