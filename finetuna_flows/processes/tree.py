"""What runs below a process, as Linux's ``/proc`` tells it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
STOPPED = "T"
GONE = "ZX"
"""States of what has ended but is still listed."""


@dataclass(frozen=True)
class ProcessState:
    """One process at one moment."""

    pid: int
    parent: int
    name: str
    """Of the program; 15 characters at most."""
    state: str
    """One letter: ``R`` runs, ``S`` and ``D`` sleep, ``T`` is stopped, ``Z`` has ended."""
    cpu: float
    """Seconds of processor time so far."""
    started: int
    """Clock ticks since boot; tells a process from a later one with the same number."""


def read_state(pid: int) -> ProcessState | None:
    """What is known of a process; None where there is none, or it may not be looked at."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    before, _, after = text.rpartition(")")
    fields = after.split()
    return ProcessState(
        pid=pid,
        parent=int(fields[1]),
        name=before.partition("(")[2],
        state=fields[0],
        cpu=(int(fields[11]) + int(fields[12])) / TICKS,
        started=int(fields[19]),
    )


def all_processes() -> list[ProcessState]:
    """Every process that has not ended."""
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())
    states = map(read_state, pids)
    return [each for each in states if each is not None and each.state not in GONE]


def descendants(pid: int, among: Iterable[ProcessState] | None = None) -> list[ProcessState]:
    """Children of a process, their children, and so on; nearest first."""
    children: dict[int, list[ProcessState]] = {}
    for each in all_processes() if among is None else among:
        children.setdefault(each.parent, []).append(each)
    found: list[ProcessState] = []
    generation = children.get(pid, [])
    while generation:
        found += generation
        generation = [child for each in generation for child in children.get(each.pid, [])]
    return found


def marked(marker: str, among: Iterable[ProcessState]) -> set[int]:
    """Ids of those that were started with `marker`, ``NAME=value``, in their environment."""
    wanted = marker.encode()
    return {each.pid for each in among if wanted in environment(each.pid)}


def environment(pid: int) -> list[bytes]:
    """``NAME=value`` of a process as it was started; empty where it may not be read."""
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
