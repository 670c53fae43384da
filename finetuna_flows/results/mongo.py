"""What MongoDB would do with a document: its bytes, its limit, its filters and projections.

Filters and orders are mongomock's, which maggma's ``MemoryStore`` brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from maggma.core import Sort
from maggma.stores import MemoryStore

from finetuna_flows.errors import StoreError

MONGODB_LIMIT = 16 * 1024**2
"""Bytes that one document may have in MongoDB."""
Properties = Mapping[str, Any] | Iterable[str] | None
"""What a query is to return of each document, in either of the forms that maggma takes."""
_Tree = dict[str, "_Tree | None"]
"""Paths, name by name; None where one ends, and all that is there is meant."""


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
    return bson.decode(data if paths is None else cut_out(data, paths))


def cut_out(data: bytes, paths: Iterable[str]) -> bytes:
    """What stands at dotted paths, as BSON of its own; the rest is not decoded."""
    return bson.encode(pick(RawBSONDocument(data), paths))


def matching(
    docs: Mapping[int, Mapping[str, Any]],
    criteria: Mapping[str, Any],
    sort: Mapping[str, Sort | int],
) -> list[int]:
    """Keys of the documents that meet `criteria`, in the order of `sort`, else as given."""
    if not docs:
        return []
    memory = _memory({**doc, "_id": key} for key, doc in docs.items())
    found = memory.query(dict(criteria), properties=["_id"], sort=dict(sort) or None)
    return [doc["_id"] for doc in found]


def projection(properties: Properties) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What makes of a document what `properties` asks for."""
    if not properties:
        return lambda doc: doc
    paths = included(properties)
    if paths is None:
        return lambda doc: _projected_by_mongomock(doc, properties)
    return lambda doc: _cut(doc, _tree(tuple(paths)), into_lists=True)


def included(properties: Properties) -> list[str] | None:
    """Dotted paths that a projection returns and nothing else; None where it is of another kind."""
    if not properties:
        return None
    if not isinstance(properties, Mapping):
        return [path for path in properties if path != "_id"]
    wanted = {path: value for path, value in properties.items() if path != "_id"}
    return list(wanted) if wanted and all(value in (1, True) for value in wanted.values()) else None


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
    return _cut(doc, _tree(tuple(paths)), into_lists=False)


def value_at(doc: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None where there is nothing."""
    value: Any = doc
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def each_at(value: Any, path: str) -> Iterator[Any]:
    """Values at a dotted path, those in lists one by one, as MongoDB's ``distinct`` sees them."""
    name, _, rest = path.partition(".")
    if isinstance(value, list):
        for each in value:
            yield from each_at(each, path) if path else (each,)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and name in value:
        yield from each_at(value[name], rest)


def hashable(value: Any) -> Any:
    """Stand in for a value in a set or as a key, equal where values are."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    if isinstance(value, Mapping):
        return tuple((name, hashable(each)) for name, each in value.items())
    return value


@lru_cache
def _tree(paths: tuple[str, ...]) -> _Tree:
    tree: _Tree = {}
    for path in paths:
        branch: _Tree | None = tree
        *way, last = path.split(".")
        for name in way:
            branch = branch.setdefault(name, {}) if branch is not None else None
        if branch is not None:
            branch[last] = None
    return tree


def _cut(doc: Mapping[str, Any], tree: _Tree, *, into_lists: bool) -> dict[str, Any]:
    """The branches of a document that are in `tree`; what else is on the way stays, or is cut."""
    kept: dict[str, Any] = {}
    for name, inner in tree.items():
        if name not in doc:
            continue
        value = doc[name]
        if isinstance(value, Mapping) and inner is not None:
            kept[name] = _cut(value, inner, into_lists=into_lists)
        elif inner is None or not into_lists:
            kept[name] = value
        elif isinstance(value, list):
            kept[name] = [
                _cut(each, inner, into_lists=True) for each in value if isinstance(each, Mapping)
            ]
    return kept


def _projected_by_mongomock(doc: dict[str, Any], properties: Properties) -> dict[str, Any]:
    named = properties if isinstance(properties, Mapping) else dict.fromkeys(properties or (), 1)
    (found,) = _memory([{**doc, "_id": 0}]).query(properties={**named, "_id": 0})
    return dict(found)


def _memory(docs: Iterable[Mapping[str, Any]]) -> MemoryStore:
    memory = MemoryStore()
    memory.connect()
    memory._collection.insert_many(docs)
    return memory
