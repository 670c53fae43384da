"""No test of two processes leaves one of them, or their socket, behind."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from ase import Atoms

from finetuna_flows.colocation.connection import Connection
from finetuna_flows.processes.tree import all_processes, descendants, marked
from tests.children import MARKER, wait_until
from tests.systems import oxygen_on_copper

PATIENCE = 5.0
"""Seconds for what is about to end."""


@pytest.fixture(scope="class", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each function, or class of tests that share a parent."""
    marker = uuid4().hex
    before, folders = family(marker), socket_folders()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER, marker)
        yield
    wait_until(lambda: family(marker) <= before, PATIENCE, "the end of all processes")
    wait_until(lambda: socket_folders() <= folders, PATIENCE, "the end of all sockets")


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection, and the plain socket at its other end."""
    near, far = socket.socketpair()
    far.settimeout(PATIENCE)
    with Connection(near, "the peer") as connection, far:
        yield connection, far


def family(marker: str) -> set[int]:
    """Processes below this one, and those that inherited the marker, wherever they are."""
    running = all_processes()
    below = {each.pid for each in descendants(os.getpid(), running)}
    return below | marked(f"{MARKER}={marker}", running)


def socket_folders() -> set[Path]:
    """Those in /tmp that belong to no other process: this one listens there, or nobody does."""
    listening = {}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and "/ipi_" in fields[7]:
            listening[Path(fields[7]).parent] = fields[6]
    found = Path("/tmp").glob("ipi_finetuna_*")
    mine = {_target(each) for each in Path("/proc/self/fd").iterdir()}
    return {
        folder
        for folder in found
        if folder not in listening or f"socket:[{listening[folder]}]" in mine
    }


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.fixture
def atoms() -> Atoms:
    return oxygen_on_copper()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[None]:
    with contextlib.chdir(tmp_path):
        yield
