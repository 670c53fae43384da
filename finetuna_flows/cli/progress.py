"""What a person sees while a relaxation runs: parent calls as lines, the rest as one that moves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from finetuna_flows.geometry import fmax
from finetuna_flows.history import History
from finetuna_flows.records import Step
from finetuna_flows.relaxation.observers import line

STEPS = "finetuna_flows.relaxation.observers"
"""The logger that writes a line a step."""


class LiveHandler(logging.Handler):
    """On a terminal: each parent call stays as a line, a status line shows where the run is."""

    def __init__(self, console: Console, status: Status) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        """Draw a step, or print what else is logged."""
        step, past = getattr(record, "step", None), getattr(record, "past", None)
        if isinstance(step, Step) and isinstance(past, History):
            self._draw(step, past)
        elif record.name == STEPS and record.levelno == logging.DEBUG:
            self._status.update(record.getMessage())
        elif record.levelno >= logging.INFO:
            style = "yellow" if record.levelno >= logging.WARNING else "bold"
            self._console.print(record.getMessage(), style=style, markup=False, highlight=False)

    def _draw(self, step: Step, past: History) -> None:
        if step.label:
            self._console.print(line(step, past), highlight=False)
        force = f"fmax {fmax(step.forces, past.free):.3f} eV/Å"
        self._status.update(f"step {step.index}: {force}, {past.parent_calls} parent calls")


@contextmanager
def shown(console: Console) -> Iterator[None]:
    """Show the progress of every relaxation inside: live on a terminal, else in plain lines."""
    package = logging.getLogger("finetuna_flows")
    level, propagate = package.level, package.propagate
    with console.status("preparing") if console.is_terminal else _nothing() as status:
        handler: logging.Handler
        if isinstance(status, Status):
            handler = LiveHandler(console, status)
        else:
            handler = logging.StreamHandler(console.file)
            handler.setLevel(logging.INFO)
        package.addHandler(handler)
        package.setLevel(logging.DEBUG)
        package.propagate = False
        try:
            yield
        finally:
            package.removeHandler(handler)
            package.setLevel(level)
            package.propagate = propagate


@contextmanager
def _nothing() -> Iterator[None]:
    yield
