"""Rows of a local store whose documents match, in order: by SQL where it can tell, by mongomock."""

# ruff: noqa: S608 (the names put into SQL are made of that of a table, which is checked)

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from maggma.core import Sort

from finetuna_flows.results.mongo import decode, matching, paths_in
from finetuna_flows.results.sqlite.criteria import Rows, select
from finetuna_flows.results.sqlite.index import Fields
from finetuna_flows.results.sqlite.terms import Kind

Order = Mapping[str, Sort | int]


def find(
    connection: sqlite3.Connection,
    fields: Fields,
    criteria: Mapping[str, Any],
    sort: Order | None = None,
    skip: int = 0,
    limit: int = 0,
) -> list[int]:
    """Rows of the documents that match, in order, else as they were written; 0: no limit."""
    sort = sort or {}
    rows = select(criteria, fields)
    if rows.exact and _is_sortable(connection, fields, sort):
        statement, values = _ordered(rows, fields, sort)
        chosen = connection.execute(f"{statement} LIMIT ? OFFSET ?", (*values, limit or -1, skip))
        return [row for (row,) in chosen]
    looked_for = {} if rows.exact else criteria
    docs = _candidates(connection, fields, rows, paths_in(looked_for, sort))
    found = matching(docs, looked_for, sort)
    return found[skip : skip + limit if limit else None]


def _is_sortable(connection: sqlite3.Connection, fields: Fields, sort: Order) -> bool:
    """Whether one searched path decides the order, with one plain value for every document."""
    if not sort:
        return True
    (path, *others) = sort
    if others or path not in fields.searched or path in fields.undecided:
        return False
    several = connection.execute(
        f"SELECT 1 FROM {fields.terms} WHERE field = ? AND kind = ? LIMIT 1",
        (fields.searched[path], Kind.COMPOUND),
    )
    return several.fetchone() is None


def _ordered(rows: Rows, fields: Fields, sort: Order) -> tuple[str, tuple[int | float | str, ...]]:
    """SQL for the rows in order."""
    if not sort:
        if rows.sql is None:  # not in the order of the table itself, whose rows are large
            return f"SELECT id FROM {fields.table} ORDER BY +id", ()
        return f"SELECT DISTINCT id FROM ({rows.sql}) ORDER BY id", rows.values
    ((path, direction),) = sort.items()
    way = "ASC" if Sort(direction) is Sort.Ascending else "DESC"
    chosen = f"AND id IN ({rows.sql})" if rows.sql is not None else ""
    return (
        f"SELECT id FROM {fields.terms} WHERE field = {fields.searched[path]} {chosen} "
        f"ORDER BY kind {way}, value {way}, id",
        rows.values,
    )


def _candidates(
    connection: sqlite3.Connection, fields: Fields, rows: Rows, paths: list[str] | None
) -> dict[int, dict[str, Any]]:
    """What stands at `paths` of the documents in `rows`, or all; from their heads if it can be."""
    source = f"head FROM {fields.heads}" if fields.cover(paths) else f"doc FROM {fields.table}"
    chosen = f"WHERE id IN ({rows.sql})" if rows.sql is not None else ""
    found = connection.execute(f"SELECT id, {source} {chosen} ORDER BY id", rows.values)
    return {row: decode(data, paths) for row, data in found}
