"""What MongoDB would do with a document: its bytes, its limit, its filters and projections.

Filters and orders are mongomock's, which maggma's ``MemoryStore`` brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import bson
from maggma.core import Sort
from maggma.stores import MemoryStore

from finetuna_flows.errors import StoreError

MONGODB_LIMIT = 16 * 1024**2
"""Bytes that one document may have in MongoDB."""


def encode(doc: Mapping[str, Any], *, limit: int | None, store: str) -> bytes:
    """Write a document as BSON, without the ``_id`` that a MongoDB may have given it.

    Raises
    ------
    StoreError
        If it cannot be written so, or has more bytes than `limit`.
    """
    try:
        data = bson.encode({name: value for name, value in doc.items() if name != "_id"})
    except (bson.errors.InvalidDocument, OverflowError) as exc:
        raise StoreError(
            f"a document cannot be written to {store}: {exc}", retryable=False
        ) from exc
    if limit is not None and len(data) > limit:
        raise StoreError(
            f"a document has {len(data)} bytes but {store} takes {limit}, as MongoDB does; "
            "put what is large into the additional store `data` (@job(data=DATA_KEYS))",
            retryable=False,
        )
    return data


def decode(data: bytes, paths: Iterable[str] | None = None) -> dict[str, Any]:
    """Read a document back; of it, what stands at `paths`, or all."""
    doc = bson.decode(data)
    return doc if paths is None else pick(doc, paths)


def matching(
    docs: Mapping[int, Mapping[str, Any]],
    criteria: Mapping[str, Any],
    sort: Mapping[str, Sort | int],
) -> list[int]:
    """Keys of the documents that meet `criteria`, in the order of `sort`, else as given."""
    memory = _memory({**doc, "_id": key} for key, doc in docs.items())
    found = memory.query(dict(criteria), properties=["_id"], sort=dict(sort) or None)
    return [doc["_id"] for doc in found]


def project(
    doc: dict[str, Any], properties: Mapping[str, Any] | Iterable[str] | None
) -> dict[str, Any]:
    """Return what `properties` asks for, in either of the forms that maggma takes."""
    if not properties:
        return doc
    if not isinstance(properties, Mapping):
        properties = dict.fromkeys(properties, 1)
    wanted = {name: value for name, value in properties.items() if name != "_id"}
    including = all(value in (1, True) for value in wanted.values())
    picked = pick(doc, wanted) if including else doc
    if including and not any("." in name for name in wanted):
        return picked
    memory = _memory([{**picked, "_id": 0}])
    (found,) = memory.query(properties={**wanted, "_id": 0})
    return dict(found)


def paths_in(criteria: Mapping[str, Any], sort: Mapping[str, Any]) -> list[str] | None:
    """Dotted paths that a query looks at; None where that cannot be said beforehand."""
    paths = list(sort)
    for name, value in criteria.items():
        if name in ("$and", "$or", "$nor"):
            for part in value:
                inner = paths_in(part, {})
                if inner is None:
                    return None
                paths += inner
        elif name.startswith("$"):
            return None
        else:
            paths.append(name)
    return paths


def pick(doc: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return a copy with the values at dotted paths alone; a list on the way is kept whole."""
    picked: dict[str, Any] = {}
    for path in paths:
        source: Any = doc
        target = picked
        *way, last = path.split(".")
        for name in way:
            if not (isinstance(source, Mapping) and isinstance(source.get(name), Mapping)):
                last = name
                break
            source = source[name]
            target = target.setdefault(name, {})
        if last in source:
            target[last] = source[last]
    return picked


def value_at(doc: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None where there is nothing."""
    value: Any = doc
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _memory(docs: Iterable[Mapping[str, Any]]) -> MemoryStore:
    memory = MemoryStore()
    memory.connect()
    memory._collection.insert_many(docs)
    return memory
