"""Exit codes that mean something, and one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from rich.console import Console

from finetuna_flows.errors import FinetunaError, StructureError
from finetuna_flows.processes.termination import terminable


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    NOT_CONVERGED = 1
    REFUSED = 2
    FAILED = 3
    INTERRUPTED = 130


@contextmanager
def told_apart(console: Console) -> Iterator[None]:
    """Turn what is raised inside into one line and an exit code; SIGTERM too ends cleanly."""
    with terminable():
        try:
            yield
        except (StructureError, ValueError, TypeError) as error:
            _say(console, error)
            raise typer.Exit(Exit.REFUSED) from error
        except (FinetunaError, OSError) as error:
            _say(console, error)
            raise typer.Exit(Exit.FAILED) from error
        except KeyboardInterrupt as error:
            console.print(
                "interrupted; the same command (without --fresh) goes on where this one stopped"
            )
            raise typer.Exit(Exit.INTERRUPTED) from error


def _say(console: Console, error: Exception) -> None:
    hint = " (trying again can help)" if getattr(error, "retryable", False) else ""
    console.print(
        f"error: {error}{hint}", style="red", markup=False, highlight=False, soft_wrap=True
    )
