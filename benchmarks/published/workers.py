"""Tasks in several processes of one thread each; one that dies takes only its own task along."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Generic, TypeVar

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "FINETUNA_FLOWS_THREADS",
)
"""What a new process reads before it loads its linear algebra."""
PATIENCE = 5.0
"""Seconds that a process has to end when asked to."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Died:
    """A process ended over its task."""

    exit_code: int | None
    """Minus the signal's number where a signal ended it."""


class _Worker(Generic[T, R]):
    """A process that answers one task at a time."""

    def __init__(self, context: SpawnContext, function: Callable[[T], R]) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        with _one_thread():
            self._process.start()
        theirs.close()  # so that its end is noticed here

    def give(self, task: T) -> None:
        try:
            self.connection.send(task)
        except OSError:
            return  # it is dead, which its silence will tell

    def answer(self) -> R | Died:
        """Wait for the answer to the task given last."""
        try:
            answer: R = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(PATIENCE)  # it may still be on its way out
            return Died(self.stop())
        return answer

    def stop(self) -> int | None:
        """End the process, if it has not ended, and return its exit code."""
        self.connection.close()
        self._process.terminate()
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        return self._process.exitcode


def in_processes(
    function: Callable[[T], R], tasks: Iterable[T], processes: int
) -> Generator[tuple[T, R | Died]]:
    """Yield each task with its answer, in the order in which they finish.

    `Died` where the process ended over it; the others go on, in a new process where needed.
    However the iteration ends, no process is left: close the generator.

    Parameters
    ----------
    function
        Importable, as its tasks and answers must be; raises nothing.
    tasks
        Begun in this order.
    processes
        At most so many at a time.

    Raises
    ------
    ValueError
        If `processes` is not at least 1.
    """
    if processes < 1:
        raise ValueError(f"`processes` is {processes} but must be at least 1")
    context = get_context("spawn")
    waiting = deque(tasks)
    idle: list[_Worker[T, R]] = []
    busy: dict[Connection, tuple[_Worker[T, R], T]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker = idle.pop() if idle else _Worker(context, function)
                busy[worker.connection] = (worker, waiting[0])
                worker.give(waiting.popleft())
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, task = busy[connection]
                answer = worker.answer()
                del busy[connection]
                if not isinstance(answer, Died):
                    idle.append(worker)
                yield task, answer
    finally:
        for worker in [*idle, *(each for each, _ in busy.values())]:
            worker.stop()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set what a process that starts now inherits, and restore it here."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, function: Callable[[T], R]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; one ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            connection.send(function(connection.recv()))
    except (EOFError, OSError):
        return  # nobody is left to answer


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, however it comes, and end too."""
    parent = parent_process()
    assert parent is not None
    parent.join()  # reads a pipe that the kernel closes with it: a SIGKILL is noticed too
    os._exit(1)  # whatever the task is at
