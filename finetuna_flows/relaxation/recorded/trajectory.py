"""Frames of ASE's binary trajectories, also of those whose end is missing.

Such a file has a table that says where each frame is. It is written anew, further on, as frames
become many, so a copy that broke off early may have lost it while whole frames are there; ASE then
reads none. Here they are looked for, and the table is made again.

Format: ``ase.io.ulm``, read in ASE 3.29. At byte 24 lie a version, the number of frames and where
the table is, as 64-bit integers; a frame is its arrays, then the length of a JSON text, then that
text, and the table points at the length.
"""

from __future__ import annotations

import io
import json
import logging
import re
import struct
from functools import partial
from typing import IO

from ase import Atoms
from ase.io.trajectory import Trajectory, TrajectoryReader

from finetuna_flows.errors import ParentError
from finetuna_flows.relaxation.recorded.damage import reading_with_ase
from finetuna_flows.relaxation.recorded.record import Contents, entry_of

logger = logging.getLogger(__name__)

MAGIC = (b"- of Ulm", b"AFFormat")
"""How such a file begins."""
TABLE_POINTER = 32
"""Byte where the number of frames and the place of the table lie."""


def trajectory_contents(stream: IO[bytes], name: str) -> Contents:
    """Index the frames of a trajectory.

    Parameters
    ----------
    stream
        Uncompressed and seekable; it stays open as long as frames are read.
    name
        What to call it.

    Raises
    ------
    ParentError
        If not one frame is left.
    """
    damaged: tuple[str, ...] = ()
    try:
        reader = _reader(stream, name)
    except ParentError as error:
        stream.seek(0)
        reader = _reader(_mended(stream.read(), error), name)
        damaged = (f"{error}; {len(reader)} whole frames were found in it",)
    entries = (
        entry_of(f"{name} frame {i}", _keys(reader, i), partial(_frame, reader, i, name))
        for i in range(len(reader))
    )
    return Contents(tuple(entries), damaged)


def _reader(stream: IO[bytes], name: str) -> TrajectoryReader:
    with reading_with_ase(lambda: f"{name} is damaged, so that ASE cannot open it"):
        reader: TrajectoryReader = Trajectory(stream)
    return reader


def _keys(reader: TrajectoryReader, index: int) -> dict[str, object] | None:
    try:
        return dict(reader.backend[index].get("info", {}))
    except (ValueError, KeyError, TypeError, OSError, OverflowError, MemoryError):
        return None


def _frame(reader: TrajectoryReader, index: int, name: str) -> Atoms:
    with reading_with_ase(lambda: f"{name} frame {index} is damaged"):
        atoms: Atoms = reader[index]
    return atoms


def _mended(data: bytes, error: ParentError) -> IO[bytes]:
    """Give the whole frames that are there a table of their own; raise `error` if there are none.

    The first frame holds the elements, without which the others are worth nothing.
    """
    offsets = [
        match.start() - 8
        for match in re.finditer(rb'\{"', data)
        if match.start() >= 8 and _is_frame(data, match.start())
    ]
    if not offsets or b'"numbers.' not in _text_at(data, offsets[0] + 8):
        raise error
    mended = bytearray(data)
    mended[TABLE_POINTER : TABLE_POINTER + 16] = struct.pack("<2q", len(offsets), len(data))
    return io.BytesIO(bytes(mended) + struct.pack(f"<{len(offsets)}q", *offsets))


def _text_at(data: bytes, start: int) -> bytes:
    (length,) = struct.unpack("<q", data[start - 8 : start])
    return data[start : start + length] if 0 < length <= len(data) - start else b""


def _is_frame(data: bytes, start: int) -> bool:
    text = _text_at(data, start)
    if not text.endswith(b"}"):
        return False
    try:
        return "positions." in json.loads(text)
    except ValueError:
        return False
