"""SIGTERM ends what is under way as an exception does, so that it is cleaned up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

TERMINATED = 143
"""Exit code of what SIGTERM has ended, as shells have it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into SystemExit for a while.

    Where somebody handles the signal already, or this is not the main thread, all stays as it is.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
