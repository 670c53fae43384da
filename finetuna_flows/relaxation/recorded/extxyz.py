"""Frames of (extended) XYZ files, found one by one so that a broken one costs no other.

ASE's reader ends at the first line that it does not understand, and seeks to and fro, which takes
minutes in a compressed file. Here the file is walked through once; a line that holds nothing but a
whole number begins a frame, also where the frame before has too few lines or too many.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO

import ase.io
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict

from finetuna_flows.errors import ParentError
from finetuna_flows.relaxation.recorded.damage import reading_with_ase
from finetuna_flows.relaxation.recorded.record import Contents, Entry, entry_of

NOT_KEYS = ("Lattice", "Properties", "pbc")


@dataclass(frozen=True)
class _Line:
    text: bytes
    number: int
    """From 1."""
    offset: int
    """Bytes before it."""

    @property
    def count(self) -> int | None:
        """The number that it holds, if it holds nothing else."""
        word = self.text.strip()
        return int(word) if word.isdigit() else None


def extxyz_contents(stream: IO[bytes], name: str) -> Contents:
    """Index the frames of an extended XYZ file.

    Parameters
    ----------
    stream
        Uncompressed and seekable; it stays open as long as frames are read.
    name
        What to call it.
    """
    entries: list[Entry] = []
    frames = 0
    lines = _lines(stream)
    line = next(lines, None)
    while line is not None:
        if line.count is None:
            if line.text.strip():
                entries.append(_no_frame(line, name))
            line = next((each for each in lines if each.count is not None), None)
            continue
        found, line = _frame(line, lines, stream, f"{name} frame {frames}")
        entries.append(found)
        frames += 1
    return Contents(tuple(entries))


def _no_frame(line: _Line, name: str) -> Entry:
    """Stands where lines are that belong to no frame, so that it is known whose are lost."""
    why = (
        f"{name} line {line.number}: {_excerpt(line.text)} begins no frame, which is a line with "
        "the number of atoms; left out up to the next one"
    )
    return entry_of(f"{name} line {line.number}", None, partial(_broken, why))


def _frame(
    first: _Line, lines: Iterator[_Line], stream: IO[bytes], called: str
) -> tuple[Entry, _Line | None]:
    """One frame, and the line after it."""
    where, wanted = f"{called} (line {first.number})", first.count or 0
    comment = next(lines, None)
    keys = _keys(comment.text) if comment else None
    size, after = 0, None if comment is None else next(lines, None)
    while after is not None and size < wanted and after.count is None:
        size, after = size + 1, next(lines, None)
    if size < wanted:
        atoms = partial(_broken, f"{where} has {size} lines of atoms but announces {wanted}")
    else:
        end = after.offset if after else None
        atoms = partial(_parsed, stream, first.offset, end, where)
    return entry_of(where, keys, atoms), after


def _lines(stream: IO[bytes]) -> Iterator[_Line]:
    offset = 0
    for number, text in enumerate(stream, start=1):
        yield _Line(text, number, offset)
        offset += len(text)


def _keys(comment: bytes) -> dict[str, object] | None:
    try:
        found = key_val_str_to_dict(comment.decode())
    except (ValueError, IndexError, KeyError):  # also what is no text
        return None
    return {key: value for key, value in found.items() if key not in NOT_KEYS}


def _broken(why: str) -> Atoms:
    raise ParentError(why)


def _parsed(stream: IO[bytes], start: int, end: int | None, where: str) -> Atoms:
    stream.seek(start)
    block = stream.read() if end is None else stream.read(end - start)
    with reading_with_ase(lambda: f"{where} cannot be read{_odd_line(block, where)}"):
        text = block.decode()
        found = ase.io.read(io.StringIO(text), index=0, format="extxyz")
    assert isinstance(found, Atoms)
    return found


def _odd_line(block: bytes, where: str) -> str:
    """Name the first line of atoms that has not as many columns as the first."""
    lines = block.splitlines()[2:]
    first = int(where.rpartition("line ")[2].rstrip(")"))
    for number, line in enumerate(lines, start=first + 2):
        if line.strip() and len(line.split()) != len(lines[0].split()):
            return f" at line {number}, {_excerpt(line)}"
    return ""


def _excerpt(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
