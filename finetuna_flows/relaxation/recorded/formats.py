"""What kind of record a path is, and how its frames are reached."""

from __future__ import annotations

import io
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import IO

import ase.io
from ase import Atoms
from ase.io.formats import (
    UnknownFileTypeError,
    filetype,
    get_compression,
    ioformats,
    open_with_compression,
)

from finetuna_flows.errors import ParentError, said_by
from finetuna_flows.relaxation.recorded.damage import reading_with_ase
from finetuna_flows.relaxation.recorded.database import database_contents, json_contents
from finetuna_flows.relaxation.recorded.extxyz import extxyz_contents
from finetuna_flows.relaxation.recorded.layout import is_released
from finetuna_flows.relaxation.recorded.record import Contents, Entry, entry_of
from finetuna_flows.relaxation.recorded.trajectory import MAGIC, trajectory_contents
from finetuna_flows.relaxation.vasp.files import find_vasp_files

ACCEPTED = (
    "name what VASP left, a trajectory (.traj, .extxyz, .xyz, or another format that ASE reads), "
    "an ASE database (.db, .json), or a directory as FINETUNA's authors laid theirs out"
)


class NoRelaxationError(ValueError):
    """A path is there, but nothing in it is a record of a relaxation."""


class Kind(Enum):
    """How a path is read."""

    VASP = "what VASP left"
    RELEASED = "the layout of FINETUNA's authors"
    XYZ = "(extended) XYZ"
    TRAJECTORY = "ASE trajectory"
    DATABASE = "ASE database"
    JSON = "ASE database as JSON"
    OTHER = "another format of ASE's"


BY_SUFFIX = {
    ".xyz": Kind.XYZ,
    ".extxyz": Kind.XYZ,
    ".traj": Kind.TRAJECTORY,
    ".db": Kind.DATABASE,
    ".json": Kind.JSON,
    ".xml": Kind.VASP,
}
BEGINNINGS = {Kind.TRAJECTORY: MAGIC, Kind.DATABASE: (b"SQLite format 3\0",)}
"""First bytes of binary files."""
OF_INPUTS = "-in"
"""How ASE's names of the formats of programs' inputs end."""
CHUNK = 1 << 16
"""Bytes to uncompress at once."""
BROKEN_ARCHIVE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def kind_of(path: Path) -> Kind:
    """Tell what a path is by its name and its first bytes.

    Raises
    ------
    ValueError
        If it is not there, is empty, or is nothing that relaxations are read from.
    """
    if path.is_dir():
        return _kind_of_directory(path)
    if not path.is_file():
        raise ValueError(f"{path} is not there; {ACCEPTED}")
    plain, _ = get_compression(path.name)
    if "OUTCAR" in plain or "vasprun" in plain:
        return Kind.VASP
    if path.stat().st_size == 0:
        raise NoRelaxationError(f"{path} is empty; {ACCEPTED}")
    kind = BY_SUFFIX.get(Path(plain).suffix.lower()) or _by_content(path)
    if kind in BEGINNINGS or kind is Kind.XYZ:
        _check_beginning(path, kind)
    return kind


@contextmanager
def open_contents(path: Path, kind: Kind) -> Iterator[Contents]:
    """Index what a file holds; it stays open inside.

    Raises
    ------
    ValueError
        If it is not of that kind.
    ParentError
        If it is so damaged that nothing of it is left.
    """
    if kind is Kind.DATABASE:
        with database_contents(path) as contents:
            yield contents
    elif kind is Kind.JSON:
        yield json_contents(path)
    elif kind is Kind.OTHER:
        yield _other_contents(path)
    else:
        indexed = extxyz_contents if kind is Kind.XYZ else trajectory_contents
        with _plain(path) as (stream, damaged):
            contents = indexed(stream, path.name)
            yield replace(contents, damaged=(*damaged, *contents.damaged))


def _kind_of_directory(path: Path) -> Kind:
    if is_released(path):
        return Kind.RELEASED
    try:
        find_vasp_files(path)
    except ParentError:
        return Kind.VASP  # damaged, as reading it will tell
    except ValueError as exc:
        raise NoRelaxationError(
            f"{path} holds no vasprun.xml and no OUTCAR, no benchmark_systems and no results; "
            f"{ACCEPTED}"
        ) from exc
    return Kind.VASP


def _by_content(path: Path) -> Kind:
    try:
        found = filetype(str(path), guess=False)
    except (UnknownFileTypeError, UnicodeDecodeError) as exc:
        raise NoRelaxationError(f"{path} is of no kind that is known here; {ACCEPTED}") from exc
    if found.endswith(OF_INPUTS):  # not opened: of one that is cut, ASE's reader may never end
        raise NoRelaxationError(
            f"{path} is an input ({_described(found)}), which holds no energies and no forces; "
            f"{ACCEPTED}"
        )
    return Kind.VASP if found in ("vasp-out", "vasp-xml") else Kind.OTHER


def _check_beginning(path: Path, kind: Kind) -> None:
    try:
        with open_with_compression(str(path), "rb") as stream:
            line = stream.readline(64)
    except BROKEN_ARCHIVE as exc:
        raise ValueError(f"{path} cannot be opened: {said_by(exc)}; {ACCEPTED}") from exc
    right = line.strip().isdigit() if kind is Kind.XYZ else line.startswith(BEGINNINGS[kind])
    if not right:
        raise ValueError(
            f"{path} begins with {line[:20]!r}, so it is no {kind.value} as its name says; "
            f"{ACCEPTED}"
        )


@contextmanager
def _plain(path: Path) -> Iterator[tuple[IO[bytes], tuple[str, ...]]]:
    """The file uncompressed, to go to and fro in, and what is wrong with its compression.

    Of a compressed file it is a copy on the disk, as far as it can be uncompressed.
    """
    _, compression = get_compression(path.name)
    with open_with_compression(str(path), "rb") as stream:
        if compression is None:
            yield stream, ()
            return
        assert isinstance(stream, io.BufferedIOBase)
        with tempfile.TemporaryFile() as copy:
            damaged: tuple[str, ...] = ()
            try:
                while chunk := stream.read1(CHUNK):  # `read` loses what precedes a break
                    copy.write(chunk)
            except BROKEN_ARCHIVE as exc:
                damaged = (f"{path.name} breaks off: {said_by(exc)}",)
            copy.seek(0)
            yield copy, damaged


def _other_contents(path: Path) -> Contents:
    """Frames of any format, up to the first that ASE cannot read."""
    frames: list[Atoms] = []
    damaged: tuple[str, ...] = ()
    try:
        with reading_with_ase(lambda: f"{path.name} cannot be read from frame {len(frames)} on"):
            frames.extend(ase.io.iread(str(path), index=":", do_not_split_by_at_sign=True))
    except ParentError as error:
        if not frames:
            raise
        damaged = (str(error),)
    if not frames:
        read_as = _described(filetype(str(path), guess=False))
        raise NoRelaxationError(f"{path} holds not one geometry, read as {read_as}; {ACCEPTED}")
    return Contents(tuple(_entry(path.name, i, each) for i, each in enumerate(frames)), damaged)


def _entry(name: str, index: int, atoms: Atoms) -> Entry:
    return entry_of(f"{name} frame {index}", dict(atoms.info), partial(_kept, atoms))


def _described(name: str) -> str:
    """What ASE calls a format, in words where it has some."""
    return str(ioformats[name].description) if name in ioformats else name


def _kept(atoms: Atoms) -> Atoms:
    return atoms
