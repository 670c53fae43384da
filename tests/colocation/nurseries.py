"""A process of the tests that starts jobs quickly, and ends with all that it has started."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.children import Children
from tests.fakes.colocated_parts import nursery

DONE_WITHIN = 60.0
"""Seconds in which a run that nothing disturbs has ended, on a busy machine."""
LOOK = 0.01


class Nursery:
    """Starts jobs quickly; a context manager that ends all of them.

    Parameters
    ----------
    directory
        Of its own files.
    """

    def __init__(self, directory: Path) -> None:
        self._address = str(directory / "nursery")
        self._undisturbed = directory / "undisturbed"
        self._children = Children(directory, {})

    def __enter__(self) -> Self:
        self._children.__enter__()
        words = [sys.executable, "-m", nursery.__name__, self._address, str(self._undisturbed)]
        process = self._children.start(words, "nursery.out")
        come = Path(self._address)
        until(lambda: come.exists() or process.poll() is not None, DONE_WITHIN, "the nursery")
        assert process.poll() is None, (come.parent / "nursery.out").read_text()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._children.__exit__(kind, problem, trace)

    def start(
        self, what: str, directory: Path, largest_file: int | None, environment: dict[str, str]
    ) -> int:
        """Fork a job; the number of its process."""
        request = nursery.Request(what, str(directory), largest_file, environment)
        return nursery.ask(self._address, request)

    @property
    def undisturbed(self) -> dict[str, Any]:
        """What a run comes to that is left in peace, its parent in the same process."""
        said: dict[str, Any] = json.loads((self._undisturbed / "learner.json").read_text())
        return said


def until(condition: Callable[[], bool], patience: float, what: str) -> None:
    """Look again and again.

    Raises
    ------
    AssertionError
        If it does not come in time.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {patience:g} s"
        time.sleep(LOOK)
