"""A vasprun.xml in pieces that are parsed one by one, so that damage in one leaves the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import IO
from xml.etree.ElementTree import Element, ParseError, fromstring

from finetuna_flows.relaxation.vasp.ending import UNREADABLE

OPEN, CLOSE, END = b"<calculation>", b"</calculation>", b"</modeling>"
NEWLINE = b"\n"
BOUNDS = re.compile(rb"(</?calculation>)")
ENERGY = b"<energy>"
LARGE = re.compile(rb"<(dos|eigenvalues|projected)\b[^>]*(?<!/)>")
"""Parts of an ionic step that are not used and may be large."""


class Kind(Enum):
    """What a piece is."""

    HEAD = "head"
    STEP = "step"
    BROKEN = "broken"
    """An ionic step without its beginning or end."""
    END = "end"


@dataclass(frozen=True)
class Piece:
    """Some lines of the file."""

    kind: Kind
    text: str
    line: int
    """Where it begins, from 1; of the end, where the file ends."""
    end: str = ""
    """Of the end: where and why the file ends too early; empty where it is whole."""
    outside: int = 0
    """Of the end: energies outside of any step of DFT, those of a machine-learned force field."""


@dataclass
class _State:
    kept: list[bytes] = field(default_factory=list)
    head: bool = True
    inside: bool = False
    skipped: bytes = b""
    """The tag of a large part that is being passed over."""
    begun: int = 1
    outside: int = 0
    since: int = 0
    """Energies since the last step."""

    def close(self, kind: Kind) -> Piece:
        piece = Piece(kind, b"".join(self.kept).decode("latin-1"), self.begun)
        self.kept, self.skipped, self.head = [], b"", False
        return piece


def pieces(stream: IO[bytes]) -> Iterator[Piece]:
    """The head, each ionic step, and the end.

    Parameters
    ----------
    stream
        Uncompressed. One ionic step is in memory at a time.

    Raises
    ------
    OSError, EOFError, zlib.error, lzma.LZMAError
        If not one line can be read.
    """
    state, line, ended, last, trouble = _State(), 1, False, b"", ""
    try:
        for line, last in enumerate(stream, start=1):
            for part in BOUNDS.split(last):
                yield from _take(state, part, line)
            ended = ended or END in last
    except UNREADABLE as exc:
        if not last:
            raise  # nothing of it can be read
        trouble = str(exc)
    if state.head:
        yield state.close(Kind.HEAD)
    if not ended and not trouble:
        trouble = f"line {line + 1 if last.endswith(NEWLINE) else line}"
    outside = state.outside + state.since
    yield Piece(Kind.END, "", line, "" if ended else trouble, outside)


def _take(state: _State, part: bytes, line: int) -> Iterator[Piece]:
    if part == OPEN:
        if state.head:
            yield state.close(Kind.HEAD)
        elif state.inside:
            yield state.close(Kind.BROKEN)
        state.outside += state.since
        state.inside, state.since, state.begun = True, 0, line
        state.kept.append(part)
    elif part == CLOSE:
        state.kept.append(part)
        if state.head and not state.inside:
            yield state.close(Kind.HEAD)
            yield Piece(Kind.BROKEN, "", line)
        else:
            yield state.close(Kind.STEP if state.inside else Kind.BROKEN)
        state.inside, state.since = False, 0
    elif state.head or state.inside:
        _keep(state, part)
        state.since += ENERGY in part and not state.inside
    else:
        state.since += part.count(ENERGY)


def _keep(state: _State, part: bytes) -> None:
    """Keep a part, unless it belongs to something large that is not used."""
    if state.skipped:
        if b"</" + state.skipped + b">" in part:
            state.skipped = b""
        return
    if state.inside and (match := LARGE.search(part)):
        if b"</" + match[1] + b">" not in part:
            state.skipped = match[1]
        return
    state.kept.append(part)


def element(text: str) -> Element:
    """A piece as an element.

    Raises
    ------
    ValueError
        If it is damaged; the message says in which of its lines.
    """
    try:
        return fromstring(text)  # noqa: S314 - no part that is taken can define an entity
    except ParseError as exc:
        raise ValueError(f"{exc}") from exc
