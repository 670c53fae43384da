"""Rows of ASE's databases, in the order of their ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ase.db
from ase import Atoms
from ase.db.core import YEAR, Database
from ase.db.row import AtomsRow
from ase.io.formats import UnknownFileTypeError

from finetuna_flows.errors import ParentError, said_by
from finetuna_flows.relaxation.recorded.damage import reading_with_ase
from finetuna_flows.relaxation.recorded.learner import is_of_learner, learner_record
from finetuna_flows.relaxation.recorded.record import Contents, Entry, entry_of


@contextmanager
def database_contents(path: Path) -> Iterator[Contents]:
    """Index the rows of an SQLite database; nothing is written, and none is made.

    Raises
    ------
    ValueError
        If it is no database of ASE's.
    ParentError
        If it is damaged so that its rows cannot be listed.
    """
    times = _times(path)  # before ASE, which writes its tables into any database that has none
    with ase.db.connect(path, use_lock_file=False) as database:
        yield Contents(tuple(_entries(database, times, path.name)))


def json_contents(path: Path) -> Contents:
    """Index the rows of a JSON database.

    Raises
    ------
    ValueError
        If it is no database of ASE's.
    ParentError
        If not one row can be read.
    """
    rows: list[AtomsRow] = []
    damaged: tuple[str, ...] = ()
    try:
        with reading_with_ase(lambda: f"{path.name} cannot be read {_after(rows)}"):
            rows.extend(ase.db.connect(path, use_lock_file=False).select())
    except ParentError as error:
        if isinstance(error.__cause__, UnknownFileTypeError):
            raise ValueError(
                f"{path} is no database of ASE's: {said_by(error.__cause__)}"
            ) from error
        if not rows:
            raise
        damaged = (str(error),)
    rows.sort(key=lambda row: int(row.id))
    entries: list[Entry] = []
    for before, row in zip([None, *rows], rows, strict=False):
        since = (row["ctime"] - before["ctime"]) * YEAR if before is not None else 0.0
        where = f"{path.name} row {row.id}"
        entries.append(_entry(where, row.key_value_pairs, since, partial(_kept, row)))
    return Contents(tuple(entries), damaged)


def _after(rows: Sequence[AtomsRow]) -> str:
    return f"after row {rows[-1].id}" if rows else "before its first row"


def _entries(database: Database, times: list[tuple[int, float]], name: str) -> Iterator[Entry]:
    before = times[0][1] if times else 0.0
    for number, time in times:
        where = f"{name} row {number}"
        read = partial(_row, database, number, where)
        try:
            keys: dict[str, Any] | None = dict(read().key_value_pairs)
        except ParentError:
            keys = None
        yield _entry(where, keys, (time - before) * YEAR, read)
        before = time


def _entry(
    where: str, keys: dict[str, Any] | None, since: float, read: Callable[[], AtomsRow]
) -> Entry:
    atoms = partial(_atoms, read, where)
    if keys is not None and is_of_learner(keys):
        return Entry(where, keys, atoms, lambda _: learner_record(atoms(), keys, where, since))
    return entry_of(where, keys, atoms)


def _times(path: Path) -> list[tuple[int, float]]:
    """Id and time of making of each row; ASE counts years from 2000."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT id, ctime FROM systems ORDER BY id").fetchall()
    except sqlite3.OperationalError as exc:
        raise ValueError(f"{path} is no database of ASE's: {said_by(exc)}") from exc
    except sqlite3.DatabaseError as exc:
        raise ParentError(f"{path} is damaged: {said_by(exc)}") from exc
    return [(int(number), float(time or 0.0)) for number, time in found]


def _kept(row: AtomsRow) -> AtomsRow:
    return row


def _row(database: Database, number: int, where: str) -> AtomsRow:
    with reading_with_ase(lambda: f"{where} is damaged"):
        row: AtomsRow = database.get(id=number)
    return row


def _atoms(read: Callable[[], AtomsRow], where: str) -> Atoms:
    row = read()
    with reading_with_ase(lambda: f"{where} is damaged"):
        atoms: Atoms = row.toatoms()
        atoms.info.update({**row.data, **row.key_value_pairs})
    return atoms
