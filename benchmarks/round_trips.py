"""What lies between asking a parent's process for a label and having it; its start and end.

Part of `benchmarks/colocation.py`. A label's time is told besides what the parent itself took for
it, as its own record says, and for that record on a disk and in memory, where ``fsync`` is free.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.build import fcc111

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.address import TcpAddress
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.kept_labels import NAME, KeptLabels
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.own_process import FOLDER, OwnProcess
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.colocation.specs import make_order, place
from finetuna_flows.geometry import Array
from finetuna_flows.journal import Journal
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator, PreparingParent
from finetuna_flows.records import Label

AT_ONCE = AseParentSpec(f"{Path(__file__).with_name('busy_parents.py')}:Constant")
IMPORTS = [sys.executable, "-c", "import finetuna_flows.colocation.service"]
MEMORY = Path("/dev/shm")
"""A file system in memory, as Linux has it."""
FEW = 20
"""Labels of a usual relaxation, and at the end of a long service."""
T = TypeVar("T")
UNIX, TCP = "UNIX socket", "TCP, loopback"


@dataclass(frozen=True)
class Service:
    """One process that served its labels and ended; seconds."""

    first: float
    """From `place` to the first label."""
    end: float
    labels: Array
    """Of each label but the first, besides the parent's own."""


class OverTcp(OwnProcess):
    """Invites the parent to the TCP socket alone; it would try the UNIX socket first."""

    def come(self, listener: Listener, token: str, atoms: Atoms) -> None:
        listener.addresses = tuple(
            each for each in listener.addresses if isinstance(each, TcpAddress)
        )
        super().come(listener, token, atoms)

    def admit(self, newcomer: Connection, token: str) -> Driver:
        with socket.socket(fileno=os.dup(newcomer.fileno())) as same:
            assert same.family == socket.AF_INET
        return super().admit(newcomer, token)


def print_round_trips(services: int, disk: Path | None, count: int) -> None:
    served: dict[tuple[str, str], list[Service]] = {
        (medium, where): [] for medium in (UNIX, TCP) for where in ("disk", "memory")
    }
    imports = []
    for _ in range(services):  # in turn, so that what else the machine does hits all alike
        for (medium, where), those in served.items():
            with folder(disk if where == "disk" else MEMORY):
                those.append(serve(FEW, medium))
        imports += list(timed(lambda words: subprocess.run(words, check=True), [IMPORTS]))
    print("\n| 100 atoms | labels | record | median/ms | 90th percentile/ms |\n" + 5 * "|---" + "|")
    for (medium, where), those in served.items():
        seconds = np.concatenate([each.labels for each in those])
        print_row(f"{medium} | 2 to {FEW}, {services} times | {where}", seconds)
    with folder(MEMORY):
        late = serve(count, UNIX).labels[-FEW:]
    print_row(f"{UNIX} | {count - FEW + 1} to {count} | memory", late)
    print_parts(count, disk)
    print("\n| a process of its own | median/ms | 90th percentile/ms |\n|---|---|---|")
    every = [each for those in served.values() for each in those]
    print_row("`place()` to the first label", np.array([each.first for each in every]))
    print_row("Python with its imports alone, and its exit", np.array(imports))
    print_row("told to end, to its end", np.array([each.end for each in every]))


def serve(count: int, medium: str) -> Service:
    """Have a process answer so often, in the present folder."""
    geometries = shaken(count)
    began = time.perf_counter()
    parent = placed(medium)
    with parent:
        assert isinstance(parent, PreparingParent)
        parent.prepare(geometries[0])
        parent.label(geometries[0])
        first = time.perf_counter() - began
        seconds = timed(parent.label, geometries[1:])
        ending = time.perf_counter()
    end = time.perf_counter() - ending
    own = []
    for record in Journal(Path(FOLDER) / NAME).read()[2:]:
        label = record["label"]
        assert isinstance(label, dict)
        own.append(label["wall_time"])
    return Service(first, end, seconds - np.array(own))


def placed(medium: str) -> ParentCalculator:
    if medium == UNIX:
        return place(AT_ONCE, Placement(process="own"))
    own = Placement(process="own")
    partner = OverTcp(make_order(AT_ONCE, own.patience, own), own, Path.cwd())
    return RemoteParent(partner, own.patience, "lo", "")  # as `place` does it, but for the partner


def print_parts(count: int, disk: Path | None) -> None:
    """What of a label can be had alone."""
    print("\n| part of a label | median/ms | 90th percentile/ms |\n|---|---|---|")
    for medium in (UNIX, TCP):
        print_row(f"its bytes to and fro, {medium}", exchanged(medium))
    geometries = shaken(count)
    for where, home in (("disk", disk), ("memory", MEMORY)):
        with folder(home) as here:
            print_row(f"record written, {where}", written(here, geometries))
    for number in (FEW // 2, count):
        with folder(MEMORY) as here:
            written(here, geometries[:number])
            record = KeptLabels(here, "", geometries[0])
            print_row(
                f"earlier record searched, {number} labels", timed(record.find, shaken(FEW, seed=1))
            )
            record.close()


def written(here: Path, geometries: list[Atoms]) -> Array:
    """Seconds of each label of a parent's record."""
    label = Label(energy=0.0, forces=np.full((100, 3), 0.1))
    record = KeptLabels(here, "", geometries[0])
    seconds = timed(lambda atoms: record.keep(atoms, label), geometries)
    record.close()
    return seconds


def exchanged(medium: str) -> Array:
    """Seconds of three questions and answers of a label's length, between two processes."""
    length = len(ipi.geometry(np.eye(3), np.zeros((100, 3))))
    extras = ipi.ours(free_energy=0.1, scf_cycles=10, wall_time=0.1, restarts=0)
    answer = len(ipi.answer(0.0, np.zeros((100, 3)), extras))
    lengths = [
        (ipi.WORD, ipi.WORD),
        (2 * ipi.WORD + length, ipi.WORD),
        (ipi.WORD, ipi.WORD + answer),
    ]
    if medium == UNIX:
        ends = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ends = socket.create_connection(server.getsockname()), server.accept()[0]
    count = 200
    child = os.fork()
    with Connection(ends[0], "child") as ours, Connection(ends[1], "benchmark") as theirs:
        if child == 0:
            for asked, answered in count * lengths:
                theirs.receive(asked)
                theirs.send(bytes(answered))
            os._exit(0)

        def exchange(_: int) -> None:
            for asked, answered in lengths:
                ours.send(bytes(asked))
                ours.receive(answered)

        seconds = timed(exchange, range(count))
    os.waitpid(child, 0)
    return seconds


def print_row(words: str, seconds: Array) -> None:
    high = np.percentile(seconds, 90)
    print(f"| {words} | {1e3 * np.median(seconds):.2f} | {1e3 * high:.2f} |", flush=True)


def shaken(count: int, seed: int = 0) -> list[Atoms]:
    """The same 100 atoms, elsewhere each time."""
    rng = np.random.default_rng(seed)
    slab: Atoms = fcc111("Cu", size=(5, 5, 4), a=3.6, vacuum=6.0, periodic=True)
    moved = [slab.copy() for _ in range(count)]
    for each in moved:
        each.positions += rng.normal(scale=0.02, size=each.positions.shape)
    return moved


def timed(work: Callable[[T], object], over: Iterable[T]) -> Array:
    seconds = []
    for each in over:
        started = time.perf_counter()
        work(each)
        seconds.append(time.perf_counter() - started)
    return np.array(seconds)


@contextmanager
def folder(below: Path | None) -> Iterator[Path]:
    with TemporaryDirectory(dir=below) as name, chdir(name):
        yield Path(name)
