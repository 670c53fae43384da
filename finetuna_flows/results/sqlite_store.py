"""A maggma store in one SQLite file, which several processes may read and write at once.

maggma's own file stores lose documents when two processes write (JSONStore, MontyStore's flat
file), rewrite their configuration on every connection (MontyStore on SQLite), and read all they
hold to find one document. Here SQLite's locks and transactions do what they are made for:
an update is written whole or not at all, and waits for its turn.

A document is kept as BSON, so it comes back as MongoDB would give it, and its size is the one
that MongoDB would see. The rollback journal is used, not the write-ahead log, which must not be
shared between the nodes of a cluster.
"""

# ruff: noqa: S608 (the names put into SQL are columns of ours and a table that is checked)

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from maggma.core import Sort, Store
from monty.json import jsanitize

from finetuna_flows.errors import StoreError
from finetuna_flows.results.mongo import decode, encode, matching, paths_in, pick, project, value_at

PATIENCE = 60.0
"""Seconds to wait for other processes to finish writing."""
INDEXED = ("uuid", "blob_uuid", "job_uuid")
"""The fields by which jobflow looks documents and blobs up."""


class LocalStore(Store):
    """One collection of documents in a SQLite file.

    Parameters
    ----------
    path
        The file; made when the store is connected. Several collections may share it.
    collection_name
        Letters, digits and underscores.
    document_limit
        Bytes of BSON above which a document is refused; None for no limit but SQLite's (1 GB).
    key
        The field that tells documents apart, as in every maggma store.
    """

    def __init__(
        self,
        path: str | Path,
        collection_name: str = "outputs",
        document_limit: int | None = None,
        key: str = "uuid",
    ) -> None:
        if not re.fullmatch(r"\w+", collection_name, re.ASCII):
            raise ValueError(
                f"`collection_name` is {collection_name!r} but may hold only letters, digits and _"
            )
        self.path = str(Path(path).expanduser().resolve())
        self.collection_name = collection_name
        self.document_limit = document_limit
        self._connected = False
        super().__init__(key)

    @property
    def name(self) -> str:
        """Where it is, in one line."""
        return f"sqlite://{self.path}/{self.collection_name}"

    @property
    def _collection(self) -> None:
        raise StoreError(f"{self.name} has no MongoDB collection behind it", retryable=False)

    def connect(self, force_reset: bool = False) -> None:  # noqa: ARG002 (nothing is kept open)
        """Make the file and the table where they are not there yet."""
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._connected = True
        table = self.collection_name
        with self._open() as connection:
            known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            if connection.execute(known, (table,)).fetchone():
                return
            columns = ", ".join(f"{field} TEXT" for field in INDEXED)
            with _transaction(connection):
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} "
                    f"(id INTEGER PRIMARY KEY AUTOINCREMENT, {columns}, doc BLOB NOT NULL)"
                )
                for field in INDEXED:
                    connection.execute(
                        f"CREATE INDEX IF NOT EXISTS {table}_{field} ON {table} ({field})"
                    )

    def close(self) -> None:
        """Refuse further use until `connect`; what was written is on disk already."""
        self._connected = False

    def count(self, criteria: dict[str, Any] | None = None) -> int:
        """How many documents match."""
        with self._open() as connection:
            if criteria:
                return len(self._find(connection, criteria))
            (number,) = connection.execute(
                f"SELECT COUNT(*) FROM {self.collection_name}"
            ).fetchone()
            return int(number)

    def query(
        self,
        criteria: dict[str, Any] | None = None,
        properties: dict[str, Any] | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Documents that match, one after the other; only those asked for are held in memory.

        One that another process replaces meanwhile comes as it is then, one removed not at all.
        """
        with self._open() as connection:
            found = self._find(connection, criteria or {}, sort or {})
            for row in islice(found, skip, skip + limit if limit else None):
                doc = self._read(connection, row)
                if doc is not None:
                    yield project(doc, properties)

    def update(
        self, docs: list[dict[str, Any]] | dict[str, Any], key: list[str] | str | None = None
    ) -> None:
        """Insert documents, or replace those with the same values of `key`: all or none.

        Raises
        ------
        StoreError
            If a document is larger than the limit, cannot be written as BSON, lacks the key, or
            other processes kept the file locked.
        """
        keys = [key or self.key] if not isinstance(key, list) else key
        clean = [
            jsanitize(doc, allow_bson=True) for doc in (docs if isinstance(docs, list) else [docs])
        ]
        encoded = [
            (
                doc,
                encode(doc, limit=self.document_limit, store=self.name),
                self._identity(doc, keys),
            )
            for doc in clean
        ]
        fields = ", ".join((*INDEXED, "doc"))
        marks = ", ".join("?" * (len(INDEXED) + 1))
        with self._open() as connection, _transaction(connection):
            for doc, data, identity in encoded:
                known = self._find(connection, identity)
                row = known[0] if known else None
                connection.execute(
                    f"INSERT OR REPLACE INTO {self.collection_name} (id, {fields}) "
                    f"VALUES (?, {marks})",
                    (row, *map(_indexed, map(doc.get, INDEXED)), data),
                )

    def remove_docs(self, criteria: dict[str, Any]) -> None:
        """Delete the documents that match."""
        with self._open() as connection, _transaction(connection):
            rows = self._find(connection, criteria)
            connection.executemany(
                f"DELETE FROM {self.collection_name} WHERE id = ?", [(row,) for row in rows]
            )

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Whether there is an index of `key`; the fields that jobflow asks for always have one."""
        return key in INDEXED and not unique

    def groupby(
        self,
        keys: list[str] | str,
        criteria: dict[str, Any] | None = None,
        properties: dict[str, Any] | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Documents with the same values of `keys`, together; whole ones without `properties`."""
        names = [keys] if isinstance(keys, str) else keys
        wanted = [*properties, *names] if properties else None
        groups = defaultdict(list)
        for doc in self.query(criteria, wanted, sort, skip, limit):
            groups[tuple(value_at(doc, name) for name in names)].append(doc)
        for values, docs in groups.items():
            identity = dict(zip(names, values, strict=True))
            yield pick(docs[0], list(identity)), docs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._connected:
            raise StoreError(f"{self.name} is not connected; call connect() first", retryable=False)
        try:
            with closing(
                sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            ) as connection:
                yield connection
        except sqlite3.Error as exc:
            raise StoreError(f"{self.name} cannot be read or written: {exc}") from exc

    def _find(
        self,
        connection: sqlite3.Connection,
        criteria: Mapping[str, Any],
        sort: Mapping[str, Sort | int] | None = None,
    ) -> list[int]:
        """Rows of the documents that match, in order."""
        where, values = _prefilter(criteria)
        table = self.collection_name
        if not sort and not criteria:
            return [row for (row,) in connection.execute(f"SELECT id FROM {table} ORDER BY id")]
        paths = paths_in(criteria, sort or {})
        rows = connection.execute(f"SELECT id, doc FROM {table} {where} ORDER BY id", values)
        docs = {row: decode(data, paths) for row, data in rows}
        return matching(docs, criteria, sort or {}) if docs else []

    def _read(self, connection: sqlite3.Connection, row: int) -> dict[str, Any] | None:
        """Return the document in a row; None if another process has removed it meanwhile."""
        found = connection.execute(
            f"SELECT doc FROM {self.collection_name} WHERE id = ?", (row,)
        ).fetchone()
        return decode(found[0]) if found else None

    def _identity(self, doc: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        try:
            return {key: doc[key] for key in keys}
        except KeyError as exc:
            raise StoreError(
                f"a document for {self.name} lacks its key {exc}", retryable=False
            ) from exc


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the write lock first: a lock taken late can meet another one taken late."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _indexed(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _prefilter(criteria: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Narrow the rows down by the indexed fields; what is not text has no index and stays in."""
    parts: list[str] = []
    values: list[str] = []
    for field in INDEXED:
        wanted = criteria.get(field)
        if isinstance(wanted, Mapping) and wanted.keys() == {"$in"}:
            wanted = list(wanted["$in"])
        choices = wanted if isinstance(wanted, list) else [wanted]
        texts = [choice for choice in choices if isinstance(choice, str)]
        if texts and len(texts) == len(choices):
            parts.append(f"({field} IN (SELECT value FROM json_each(?)) OR {field} IS NULL)")
            values.append(json.dumps(texts))
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values
