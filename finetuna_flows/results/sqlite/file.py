"""The SQLite file of a local store: its connections, its transactions, its table of documents."""

# ruff: noqa: S608 (the names put into SQL are columns of ours and a table that is checked)

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from finetuna_flows.errors import StoreError
from finetuna_flows.results.sqlite.index import COLUMNS, Fields, SqliteIndex, transaction

PATIENCE = 60.0
"""Seconds to wait for other processes to finish writing."""
CACHE = 64 * 1024
"""KiB of the file that a connection may hold in memory."""


class SqliteFile:
    """One collection in a file, which is opened anew for everything that is done.

    Parameters
    ----------
    path
        Of the file; its folder is made.
    table
        Of the documents.
    """

    def __init__(self, path: str, table: str) -> None:
        self.path = path
        self.table = table
        self.name = f"sqlite://{path}/{table}"
        self.index = SqliteIndex(table)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """A connection; what SQLite complains of is a StoreError."""
        try:
            with closing(
                sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            ) as connection:
                connection.execute(f"PRAGMA cache_size = -{CACHE}")
                yield connection
        except sqlite3.Error as exc:
            raise StoreError(f"{self.name} cannot be read or written: {exc}") from exc

    @contextmanager
    def at_one_time(
        self, connection: sqlite3.Connection, *, writing: bool = False
    ) -> Iterator[Fields]:
        """Keep others from writing meanwhile; the index is complete, and what it knows is given."""
        while True:
            with transaction(connection, writing=writing):
                if not self.index.is_stale(connection):
                    yield self.index.read(connection)
                    return
            self.index.heal(connection)

    def create(self) -> None:
        """Make the file and the table where they are not there yet."""
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        columns = ", ".join(f"{column} TEXT" for column in COLUMNS)
        with self.opened() as connection:
            if connection.execute(known, (self.table,)).fetchone():
                return
            with transaction(connection):
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {self.table} "
                    f"(id INTEGER PRIMARY KEY AUTOINCREMENT, {columns}, doc BLOB NOT NULL)"
                )
                for column in COLUMNS:
                    connection.execute(
                        f"CREATE INDEX IF NOT EXISTS {self.table}_{column} "
                        f"ON {self.table} ({column})"
                    )

    def ensure_indexes(self, indexed: Iterable[str], carried: Iterable[str]) -> None:
        """Index paths that are not yet indexed; a file that may only be read stays as it is."""
        with self.opened() as connection:
            try:
                self.index.ensure(connection, indexed, carried)
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                    raise

    def document(self, connection: sqlite3.Connection, row: int) -> bytes | None:
        """BSON of the document in a row; None where there is none."""
        found = connection.execute(f"SELECT doc FROM {self.table} WHERE id = ?", (row,)).fetchone()
        return found[0] if found else None

    def write(
        self,
        connection: sqlite3.Connection,
        row: int | None,
        texts: Sequence[str | None],
        data: bytes,
        fields: Fields,
    ) -> None:
        """Put a document's BSON into a row, and the texts of its `COLUMNS`; None: a new row."""
        names = ", ".join((*COLUMNS, "doc"))
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        written = connection.execute(
            f"INSERT OR REPLACE INTO {self.table} (id, {names}) VALUES (?, {marks})",
            (row, *texts, data),
        )
        self.index.put(connection, cast("int", written.lastrowid), data, fields)

    def remove(self, connection: sqlite3.Connection, row: int, fields: Fields) -> None:
        """Delete the document in a row."""
        connection.execute(f"DELETE FROM {self.table} WHERE id = ?", (row,))
        self.index.put(connection, row, None, fields)
