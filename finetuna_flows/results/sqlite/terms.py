"""What the index of a local store knows of a value: pairs that SQLite compares as MongoDB would.

A pair is a kind and a value. Kinds have the order in which MongoDB sorts types
(https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order), so pairs sort as it
sorts values; a comparison stays within one kind, as MongoDB's does. As in mongomock, true equals 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from math import isnan
from typing import Any

from bson.int64 import Int64

LONGEST = 1000
"""Characters of a text, and elements of a list, that the index takes."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Scalar = int | float | str


class Kind(IntEnum):
    """What a value is."""

    UNDECIDED = 0
    """One that SQLite could compare otherwise than MongoDB; documents with it are looked at."""
    NULL = 5
    """None, or nothing."""
    NUMBER = 10
    TEXT = 15
    COMPOUND = 25
    """A list, whose elements have pairs of their own, or a mapping: equals nothing else."""
    TRUTH = 40
    TIME = 45
    """In milliseconds since 1970, UTC."""


Term = tuple[Kind, Scalar]


def terms_at(doc: Mapping[str, Any], path: str) -> set[Term]:
    """Pairs for what a document, read from BSON, has at a dotted path; there is always one."""
    value: Any = doc
    for name in path.split("."):
        if isinstance(value, list):
            return {(Kind.UNDECIDED, 0)}
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return {_stored(value)}
    if len(value) > LONGEST:
        return {(Kind.UNDECIDED, 0), (Kind.COMPOUND, 0)}
    return {(Kind.COMPOUND, 0), *map(_stored, value)}


def wanted_term(value: object) -> Term | None:
    """Pair for what is looked for; None where it is nothing that has exactly one."""
    kind, scalar = _stored(value)
    return None if kind in (Kind.UNDECIDED, Kind.COMPOUND) else (kind, scalar)


def _stored(value: object) -> Term:
    """By the exact type: what only resembles it may compare otherwise."""
    match value:
        case None:
            return Kind.NULL, 0
        case bool():
            return Kind.TRUTH, int(value)
        case datetime():
            return Kind.TIME, _milliseconds(value)
        case list() | Mapping():
            return Kind.COMPOUND, 0
        case int() if type(value) in (int, Int64) and -(2**63) <= value < 2**63:
            return Kind.NUMBER, int(value)
        case float() if type(value) is float and not isnan(value):
            return Kind.NUMBER, value
        case str() if type(value) is str and len(value) <= LONGEST and "\0" not in value:
            return Kind.TEXT, value
    return Kind.UNDECIDED, 0


def _milliseconds(time: datetime) -> int:
    """As BSON keeps it: rounded down, and UTC where it does not say."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(milliseconds=1)
