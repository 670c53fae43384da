"""Output as a Fortran runtime buffers it."""

from __future__ import annotations

import os
from pathlib import Path


class Stream:
    """A file that is written when it is flushed, or only in whole blocks until it is closed."""

    def __init__(self, target: int | Path, *, block: int = 0) -> None:
        create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._descriptor = target if isinstance(target, int) else os.open(target, create, 0o644)
        self._block = block
        self._pending = b""
        self._cut = False

    def write(self, text: str) -> None:
        """Add text."""
        if self._cut:
            return
        self._pending += text.encode()
        if self._block:
            self._send(len(self._pending) // self._block * self._block)

    def flush(self) -> None:
        """Write what is there, unless only whole blocks are written."""
        if not self._block:
            self._send(len(self._pending))

    def cut(self) -> None:
        """Write half of what is there and nothing ever again."""
        self._send(len(self._pending) // 2)
        self._pending = b""
        self._cut = True

    def close(self) -> None:
        """Write the rest."""
        self._send(len(self._pending))

    def _send(self, length: int) -> None:
        rest, self._pending = self._pending[:length], self._pending[length:]
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
