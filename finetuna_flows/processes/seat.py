"""The part of the machine that this process has taken for itself; what it starts has the whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class _Outer:
    """What this process had before."""

    cores: frozenset[int]
    taken: frozenset[int]
    """Of these; empty where it holds to none in particular."""
    variables: Mapping[str, str | None]
    """None: it was not set."""


_outer: ContextVar[_Outer | None] = ContextVar("outer", default=None)


@contextmanager
def seated(cores: Set[int], variables: Mapping[str, str]) -> Iterator[None]:
    """Hold this process to some cores, unless there are none, and set variables, for a while."""
    before = _Outer(
        frozenset(os.sched_getaffinity(0)),
        frozenset(cores),
        {name: os.environ.get(name) for name in variables},
    )
    token = _outer.set(_outer.get() or before)
    os.environ.update(variables)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        _outer.reset(token)
        os.sched_setaffinity(0, before.cores)
        for name, value in before.variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def cores_for_programs() -> frozenset[int]:
    """Those that a program which this process starts may use: what it has not taken itself."""
    outer = _outer.get()
    if outer is None:
        return frozenset(os.sched_getaffinity(0))
    return (outer.cores - outer.taken) or outer.cores


def environment_for_programs() -> dict[str, str]:
    """The environment of a program which this process starts."""
    outer = _outer.get()
    if outer is None:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in outer.variables}
    given = {name: value for name, value in outer.variables.items() if value is not None}
    return kept | given
