"""The index of a local store: tables beside the one that holds the documents.

``fields`` names the paths. ``heads`` holds, as BSON, what each document has at them, which is small
where documents are large; ``terms`` what it has at those by which documents are searched, in the
order in which MongoDB sorts. ``stale`` holds the rows that are not in the index as they are now:
triggers put them there, whoever writes, also a version of this package that knows of no index.
"""

# ruff: noqa: S608 (the names put into SQL are made of that of a table, which is checked)

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from finetuna_flows.results.mongo import cut_out, decode
from finetuna_flows.results.sqlite.terms import Kind, terms_at

logger = logging.getLogger(__name__)

COLUMNS = ("uuid", "blob_uuid", "job_uuid")
"""Fields, looked up by jobflow, that the documents' own table has a column of where they are text.
"""
BATCH = 200
"""Documents that are put into the index in one go, before other processes have their turn."""


@dataclass(frozen=True)
class Fields:
    """What the index of a collection knows at one moment."""

    table: str
    """Of the documents."""
    heads: str
    """Table of what documents have at the paths in `carried`."""
    terms: str
    """Table of the pairs for those in `searched`."""
    searched: Mapping[str, int]
    """Numbers of the paths by which SQLite can search and sort."""
    carried: tuple[str, ...]
    """Paths whose values are at hand without reading the document, the searched ones included."""
    undecided: frozenset[str]
    """Searched paths and columns for which not every document can be judged by SQLite."""

    def cover(self, paths: Iterable[str] | None) -> bool:
        """Whether heads tell all about `paths`; None stands for the whole document."""
        return paths is not None and all(
            any(path == known or path.startswith(f"{known}.") for known in self.carried)
            for path in paths
        )


class SqliteIndex:
    """The tables beside `table`; each method works on a connection of the caller's."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.fields, self.heads, self.terms, self.stale = (
            f'"{table}.{name}"' for name in ("fields", "heads", "terms", "stale")
        )

    def read(self, connection: sqlite3.Connection) -> Fields:
        """What is known; only as good as no row is stale."""
        columns = ", ".join(
            f"EXISTS(SELECT 1 FROM {self.table} WHERE {column} IS NULL)" for column in COLUMNS
        )
        missing = connection.execute(f"SELECT {columns}").fetchone()
        undecided = {column for column, some in zip(COLUMNS, missing, strict=True) if some}
        found = []
        if self._exists(connection):
            doubtful = f"SELECT 1 FROM {self.terms} WHERE field = number AND kind = ?"
            found = connection.execute(
                f"SELECT path, number, searched, EXISTS({doubtful}) FROM {self.fields} "
                "ORDER BY number",
                (Kind.UNDECIDED,),
            ).fetchall()
        return Fields(
            self.table,
            self.heads,
            self.terms,
            {path: number for path, number, searched, _ in found if searched},
            tuple(path for path, *_ in found),
            frozenset(undecided | {path for path, *_, some in found if some}),
        )

    def is_stale(self, connection: sqlite3.Connection) -> bool:
        """Whether a row is not in the index as it is now."""
        return self._exists(connection) and bool(
            connection.execute(f"SELECT 1 FROM {self.stale} LIMIT 1").fetchone()
        )

    def ensure(
        self, connection: sqlite3.Connection, searched: Iterable[str], carried: Iterable[str]
    ) -> None:
        """Take paths up into the index, where they are not in it yet.

        Documents that are there already are read once, some at a time, so that other processes go
        on meanwhile; what is interrupted goes on when anybody next opens the file.
        """
        wanted = {**dict.fromkeys(carried, False), **dict.fromkeys(searched, True)}
        if not self._new(connection, wanted):
            return
        with transaction(connection):
            self._create(connection)
            new = self._new(connection, wanted)
            connection.executemany(
                f"INSERT INTO {self.fields} (path, searched) VALUES (?, ?) "
                "ON CONFLICT (path) DO UPDATE SET searched = 1",
                new.items(),
            )
            if new:
                connection.execute(f"DELETE FROM {self.heads}")
                connection.execute(f"DELETE FROM {self.terms}")
                connection.execute(
                    f"INSERT OR IGNORE INTO {self.stale} SELECT id FROM {self.table}"
                )
        self.heal(connection)

    def heal(self, connection: sqlite3.Connection) -> None:
        """Bring stale rows into the index."""
        (number,) = connection.execute(f"SELECT COUNT(*) FROM {self.stale}").fetchone()
        if number > BATCH:
            logger.info("%s: %d documents are put into the index, once", self.table, number)
        while self._heal_some(connection):
            continue

    def put(
        self,
        connection: sqlite3.Connection,
        row: int,
        data: bytes | None,
        fields: Fields,
    ) -> None:
        """Note what the document in a row, given as BSON, says; None: there is none any more."""
        if not fields.carried:
            return
        old = connection.execute(f"SELECT head FROM {self.heads} WHERE id = ?", (row,)).fetchone()
        head = None if data is None else cut_out(data, fields.carried)
        before = _terms(old[0], fields) if old else set()
        now = _terms(head, fields) if head is not None else set()
        connection.executemany(
            f"DELETE FROM {self.terms} WHERE field = ? AND kind = ? AND value = ? AND id = ?",
            [(*term, row) for term in before - now],
        )
        connection.executemany(
            f"INSERT OR IGNORE INTO {self.terms} (field, kind, value, id) VALUES (?, ?, ?, ?)",
            [(*term, row) for term in now - before],
        )
        if head is None:
            connection.execute(f"DELETE FROM {self.heads} WHERE id = ?", (row,))
        else:
            connection.execute(f"INSERT OR REPLACE INTO {self.heads} VALUES (?, ?)", (row, head))
        connection.execute(f"DELETE FROM {self.stale} WHERE id = ?", (row,))

    def heads_of(self, connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, bytes]:
        """Heads of rows, as far as they are not stale."""
        found = connection.execute(
            f"SELECT id, head FROM {self.heads} WHERE id IN (SELECT value FROM json_each(?)) "
            f"AND id NOT IN (SELECT id FROM {self.stale})",
            (json.dumps(rows),),
        )
        return dict(found)

    def _exists(self, connection: sqlite3.Connection) -> bool:
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(connection.execute(known, (f"{self.table}.fields",)).fetchone())

    def _new(self, connection: sqlite3.Connection, wanted: Mapping[str, bool]) -> dict[str, bool]:
        """Those of the paths that are not there, or not searched as they are to be."""
        if not self._exists(connection):
            return dict(wanted)
        known = dict(connection.execute(f"SELECT path, searched FROM {self.fields}"))
        return {path: on for path, on in wanted.items() if known.get(path, -1) < on}

    def _create(self, connection: sqlite3.Connection) -> None:
        for columns, table in (
            ("(number INTEGER PRIMARY KEY, path TEXT UNIQUE, searched INTEGER)", self.fields),
            ("(id INTEGER PRIMARY KEY, head BLOB NOT NULL)", self.heads),
            ("(id INTEGER PRIMARY KEY)", self.stale),
            (
                "(field INTEGER, kind INTEGER, value, id INTEGER, "
                "PRIMARY KEY (field, kind, value, id)) WITHOUT ROWID",
                self.terms,
            ),
        ):
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
        for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            connection.execute(
                f'CREATE TRIGGER IF NOT EXISTS "{self.table}.{event}" AFTER {event} '
                f"ON {self.table} BEGIN "
                f"INSERT OR IGNORE INTO {self.stale} VALUES ({row}.id); END"
            )

    def _heal_some(self, connection: sqlite3.Connection) -> bool:
        """Whether there were any left."""
        with transaction(connection):
            rows = connection.execute(f"SELECT id FROM {self.stale} LIMIT ?", (BATCH,)).fetchall()
            fields = self.read(connection)
            for (row,) in rows:
                found = connection.execute(
                    f"SELECT doc FROM {self.table} WHERE id = ?", (row,)
                ).fetchone()
                self.put(connection, row, found[0] if found else None, fields)
        return bool(rows)


@contextmanager
def transaction(connection: sqlite3.Connection, *, writing: bool = True) -> Iterator[None]:
    """All or nothing, seen at one time.

    Who will write takes the lock for it first: one taken late can meet another one taken late.
    """
    connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _terms(head: bytes, fields: Fields) -> set[tuple[int, Kind, int | float | str]]:
    doc = decode(head)
    return {
        (number, *term) for path, number in fields.searched.items() for term in terms_at(doc, path)
    }
