"""A maggma store in one SQLite file, which several processes may read and write at once.

maggma's own file stores lose documents when two processes write (JSONStore, MontyStore's flat
file), rewrite their configuration on every connection (MontyStore on SQLite), and read all they
hold to find one document. Here SQLite's locks and transactions do what they are made for:
an update is written whole or not at all, and waits for its turn.

A document is kept as BSON, so it comes back as MongoDB would give it, and its size is the one
that MongoDB would see. The rollback journal is used, not the write-ahead log, which must not be
shared between the nodes of a cluster.

What is asked of indexed paths is decided in SQL (see `sqlite.index`), all else by mongomock, with
the same answer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maggma.core import Sort, Store
from monty.json import jsanitize

from finetuna_flows.errors import StoreError
from finetuna_flows.results.mongo import (
    decode,
    each_at,
    encode,
    hashable,
    included,
    pick,
    projection,
    value_at,
)
from finetuna_flows.results.sqlite.file import SqliteFile
from finetuna_flows.results.sqlite.index import COLUMNS
from finetuna_flows.results.sqlite.search import find

AT_ONCE = 1000
"""Heads that are read in one go."""


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
    indexed
        Dotted paths by which documents are found and sorted without being read, best those first
        of which a value names few documents; the file keeps them from the first connection on.
        There is always an index of jobflow's uuids.
    carried
        Dotted paths whose values are returned without reading the document.
    """

    def __init__(
        self,
        path: str | Path,
        collection_name: str = "outputs",
        document_limit: int | None = None,
        key: str = "uuid",
        indexed: Iterable[str] = (),
        carried: Iterable[str] = (),
    ) -> None:
        if not re.fullmatch(r"\w+", collection_name, re.ASCII):
            raise ValueError(
                f"`collection_name` is {collection_name!r} but may hold only letters, digits and _"
            )
        self.path = str(Path(path).expanduser().resolve())
        self.collection_name = collection_name
        self.document_limit = document_limit
        self.indexed = list(indexed)
        self.carried = list(carried)
        self._file = SqliteFile(self.path, collection_name)
        self._connected = False
        super().__init__(key)

    @property
    def name(self) -> str:
        """Where it is, in one line."""
        return self._file.name

    @property
    def _collection(self) -> None:
        raise StoreError(f"{self.name} has no MongoDB collection behind it", retryable=False)

    def connect(self, force_reset: bool = False) -> None:  # noqa: ARG002 (nothing is kept open)
        """Make the file, the table and the index where they are not there yet."""
        self._file.create()
        self._connected = True
        self.ensure_indexes(self.indexed, self.carried)

    def close(self) -> None:
        """Refuse further use until `connect`; what was written is on disk already."""
        self._connected = False

    def count(self, criteria: dict[str, Any] | None = None) -> int:
        """How many documents match."""
        file = self._opened()
        with file.opened() as connection, file.at_one_time(connection) as fields:
            return len(find(connection, fields, criteria or {}))

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
        file = self._opened()
        with file.opened() as connection:
            with file.at_one_time(connection) as fields:
                rows = find(connection, fields, criteria or {}, sort or {}, skip, limit)
            at_hand = fields.cover(included(properties))
            project = projection(properties)
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                heads = file.index.heads_of(connection, some) if at_hand else {}
                for row in some:
                    data = heads.get(row) or file.document(connection, row)
                    if data is not None:
                        yield project(decode(data))

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
        encoded = [self._encoded(doc, keys) for doc in (docs if isinstance(docs, list) else [docs])]
        file = self._opened()
        with file.opened() as connection, file.at_one_time(connection, writing=True):
            for data, texts, identity in encoded:
                fields = file.index.read(connection)  # the document before may be a hard one
                known = find(connection, fields, identity)
                file.write(connection, known[0] if known else None, texts, data, fields)

    def remove_docs(self, criteria: dict[str, Any]) -> None:
        """Delete the documents that match."""
        file = self._opened()
        with file.opened() as connection, file.at_one_time(connection, writing=True) as fields:
            for row in find(connection, fields, criteria):
                file.remove(connection, row, fields)

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Index a path if it is not yet indexed; False, and none, for one of unique values."""
        if unique:
            return False
        self.ensure_indexes(() if key in COLUMNS else (key,))
        return True

    def ensure_indexes(self, indexed: Iterable[str], carried: Iterable[str] = ()) -> None:
        """Index paths as the arguments of the store do; a file that may only be read stays."""
        self._opened().ensure_indexes(indexed, carried)

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
            groups[tuple(hashable(value_at(doc, name)) for name in names)].append(doc)
        for docs in groups.values():
            yield pick(docs[0], names), docs

    def distinct(
        self,
        field: str,
        criteria: dict[str, Any] | None = None,
        all_exist: bool = False,  # noqa: ARG002 (maggma's; where there is nothing, nothing is told)
    ) -> list[Any]:
        """Values of a field, each once; of a list, those of its elements."""
        found: dict[Any, Any] = {}
        for doc in self.query(criteria, [field]):
            for value in each_at(doc, field):
                found.setdefault(hashable(value), value)
        return list(found.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def _opened(self) -> SqliteFile:
        if not self._connected:
            raise StoreError(f"{self.name} is not connected; call connect() first", retryable=False)
        return self._file

    def _encoded(
        self, given: Mapping[str, Any], keys: Iterable[str]
    ) -> tuple[bytes, list[str | None], dict[str, Any]]:
        """BSON of a document, the texts of its `COLUMNS`, and what tells it from others."""
        doc = jsanitize(given, allow_bson=True)
        data = encode(doc, limit=self.document_limit, store=self.name)
        texts = [each if isinstance(each, str) else None for each in map(doc.get, COLUMNS)]
        try:
            return data, texts, {key: doc[key] for key in keys}
        except KeyError as exc:
            raise StoreError(
                f"a document for {self.name} lacks its key {exc}", retryable=False
            ) from exc
