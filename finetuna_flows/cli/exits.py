"""Exit codes that mean something, and one line instead of a traceback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

import typer
from rich.console import Console

from finetuna_flows.errors import FinetunaError, StructureError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    NOT_CONVERGED = 1
    REFUSED = 2
    FAILED = 3
    INTERRUPTED = 130
    TERMINATED = 143


@contextmanager
def told_apart(console: Console) -> Iterator[None]:
    """Turn what is raised inside into one line and an exit code; SIGTERM too ends cleanly."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except (StructureError, ValueError, TypeError) as error:
        _say(console, error)
        raise typer.Exit(Exit.REFUSED) from error
    except FinetunaError as error:
        _say(console, error)
        raise typer.Exit(Exit.FAILED) from error
    except KeyboardInterrupt as error:
        console.print(
            "interrupted; the same command (without --fresh) goes on where this one stopped"
        )
        raise typer.Exit(Exit.INTERRUPTED) from error
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(console: Console, error: Exception) -> None:
    hint = " (trying again can help)" if getattr(error, "retryable", False) else ""
    console.print(
        f"error: {error}{hint}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(Exit.TERMINATED)
