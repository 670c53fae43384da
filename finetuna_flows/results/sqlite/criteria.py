"""From MongoDB's criteria to SQL over the index of a local store.

SQL gives all rows that match. Where it cannot say exactly which, it gives some more, and says so.
"""

# ruff: noqa: S608 (the names put into SQL are columns of ours and made of that of a table)

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from finetuna_flows.results.sqlite.index import COLUMNS, Fields
from finetuna_flows.results.sqlite.terms import Kind, Scalar, Term, wanted_term

MANY = 400
"""Parts of a criterion above which SQLite is not asked; its own limit is 500."""
EQUAL = "{} = ?"
RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
PREFIX = re.compile(r"\^((?:[\w \-:/@]|\\[^\w])*)")
"""Regular expressions that ask for the beginning of a text and nothing else."""


@dataclass(frozen=True)
class Rows:
    """SQL for rows of a collection, by their ``id``."""

    sql: str | None
    """May give a row more than once; None: every row."""
    values: tuple[Scalar, ...] = ()
    exact: bool = True
    """Whether all of them match, not only all that match are among them."""
    rank: int = 0
    """Of several parts, the one with the lowest is likely to give the fewest rows."""
    probe: str = ""
    """Condition on ``found.id``, with the same values, that is found out at once for one row; empty
    where it cannot be."""


class Test(NamedTuple):
    """Something that SQLite can find out of values of one kind."""

    kind: Kind
    sql: str
    """With {} for the value."""
    values: tuple[Scalar, ...]


UNKNOWN = Rows(None, exact=False)


def select(criteria: Mapping[str, Any], fields: Fields) -> Rows:
    """Rows of the documents that meet `criteria`."""
    parts = []
    for name, wanted in criteria.items():
        if name in ("$and", "$or") and isinstance(wanted, list) and 0 < len(wanted) < MANY:
            inner = [select(each, fields) for each in wanted]
            parts.append(_all_of(inner) if name == "$and" else _any_of(inner))
        elif name.startswith("$"):
            parts.append(UNKNOWN)
        else:
            parts.append(_select_at(name, wanted, fields))
    return _all_of(parts)


def _select_at(path: str, wanted: Any, fields: Fields) -> Rows:
    """Rows with what is wanted at one path."""
    if path not in fields.searched and path not in COLUMNS:
        return UNKNOWN
    if not isinstance(wanted, Mapping):
        return _rows(path, _tests("$eq", wanted), fields)
    if "$options" in wanted or not all(name.startswith("$") for name in wanted):
        return UNKNOWN
    return _all_of([_rows(path, _tests(*each), fields) for each in wanted.items()] or [UNKNOWN])


def _tests(operator: str, wanted: Any) -> list[Test] | None:
    """What SQLite has to find out; None where that cannot be said."""
    if operator == "$regex" and isinstance(wanted, str):
        return _prefix_tests(wanted)
    if operator == "$in" and isinstance(wanted, list | tuple):
        terms = [wanted_term(each) for each in wanted]
    elif operator == "$eq" or operator in RANGES:
        terms = [wanted_term(wanted)]
    else:
        return None
    known = [term for term in terms if term is not None]
    if len(known) < len(terms):
        return None
    if operator not in RANGES:
        return _equality_tests(known)
    ((kind, value),) = known
    return None if kind is Kind.NULL else [Test(kind, f"{{}} {RANGES[operator]} ?", (value,))]


def _equality_tests(terms: Sequence[Term]) -> list[Test] | None:
    by_kind: dict[Kind, list[Scalar]] = defaultdict(list)
    for kind, value in terms:
        same = (Kind.NUMBER, Kind.TRUTH) if kind in (Kind.NUMBER, Kind.TRUTH) else (kind,)
        for each in same:
            by_kind[each].append(value)
    texts = by_kind.pop(Kind.TEXT, [])
    if sum(map(len, by_kind.values())) > MANY:
        return None
    if len(texts) > 1:
        among = Test(Kind.TEXT, "{} IN (SELECT value FROM json_each(?))", (json.dumps(texts),))
        tests = [among]
    else:
        tests = [Test(Kind.TEXT, EQUAL, (text,)) for text in texts]
    for kind, values in by_kind.items():
        several = f"{{}} IN ({', '.join('?' * len(values))})"
        tests.append(Test(kind, several if len(values) > 1 else EQUAL, tuple(values)))
    return tests


def _prefix_tests(pattern: str) -> list[Test] | None:
    """Texts from the prefix itself to the next one of its length."""
    found = PREFIX.fullmatch(pattern)
    if found is None:
        return None
    start = re.sub(r"\\(.)", r"\1", found[1])
    if not start:
        return [Test(Kind.TEXT, "{} >= ''", ())]
    if not start.isascii():
        return None
    end = start[:-1] + chr(ord(start[-1]) + 1)
    return [Test(Kind.TEXT, "{0} >= ? AND {0} < ?", (start, end))]


def _rows(path: str, tests: list[Test] | None, fields: Fields) -> Rows:
    """Rows that pass one of the tests, and those whose value SQLite cannot judge."""
    if tests is None:
        return UNKNOWN
    undecided = path in fields.undecided
    number = fields.searched.get(path)
    if number is None:  # a column of the documents' own table
        place = fields.table
        passing = [test.sql.format(path) for test in tests if test.kind is Kind.TEXT]
        values = [test.values for test in tests if test.kind is Kind.TEXT]
        passing += [f"{path} IS NULL"] * undecided
    else:
        place = fields.terms
        here = f"field = {number} AND kind ="
        passing = [f"{here} {test.kind:d} AND {test.sql.format('value')}" for test in tests]
        values = [test.values for test in tests]
        passing += [f"{here} {Kind.UNDECIDED:d} AND value = 0"] * undecided
    chosen = [f"SELECT id FROM {place} WHERE {each}" for each in passing or ["0"]]
    at_once = number is not None and all(test.sql == EQUAL for test in tests)
    return Rows(
        " UNION ALL ".join(chosen),
        tuple(chain.from_iterable(values)),
        exact=not undecided and not any(test.kind is Kind.NULL for test in tests),
        rank=number or 0,
        probe=" OR ".join(f"EXISTS({each} AND id = found.id)" for each in chosen) * at_once,
    )


def _all_of(parts: Sequence[Rows]) -> Rows:
    """The rows of the part with the fewest, as far as they are rows of the others."""
    exact = all(part.exact for part in parts)
    narrow = sorted((part for part in parts if part.sql is not None), key=lambda each: each.rank)
    if not narrow:
        return Rows(None, exact=exact)
    first, *others = narrow
    if not others:
        return replace(first, exact=exact)
    conditions = [f"({each.probe or f'id IN ({each.sql})'})" for each in others]
    return Rows(
        f"SELECT id FROM ({first.sql}) AS found WHERE {' AND '.join(conditions)}",
        tuple(chain.from_iterable(each.values for each in narrow)),
        exact,
        first.rank,
    )


def _any_of(parts: Sequence[Rows]) -> Rows:
    exact = all(part.exact for part in parts)
    if any(part.sql is None for part in parts):
        return Rows(None, exact=exact)
    return Rows(
        " UNION ALL ".join(f"SELECT id FROM ({part.sql})" for part in parts),
        tuple(chain.from_iterable(part.values for part in parts)),
        exact,
        max(part.rank for part in parts),
    )
