"""A program under a guard: lines in, lines out, each with a deadline, and an end."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetuna_flows.processes.guarded import Guarded

CHUNK = 65536
"""Bytes that are read at once."""
LOOK = 0.5
"""Seconds; how often a silent program is looked after."""


class Program(Guarded):
    """A program that is talked to line by line.

    Standard output is read line by line and copied to a file; standard error goes to a file.

    Parameters
    ----------
    command
        Words, not given to a shell.
    directory
        Where it runs.
    output, errors
        Names of the files in that directory; appended to.
    environment
        Variables in addition to those of this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        output: str,
        errors: str,
        environment: Mapping[str, str],
    ) -> None:
        with (directory / errors).open("ab") as stderr:
            super().__init__(
                command,
                directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                environment=environment,
            )
        self._copy = (directory / output).open("ab")
        self._pending: list[bytes] = []
        self._lines: deque[str] = deque()
        self._ended = False
        for stream in (self._guard.stdin, self._guard.stdout):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)

    def read_line(self, silence: float) -> str | None:
        """Return the next line without its end; None where the output has ended.

        Raises
        ------
        TimeoutError
            If none comes for `silence` seconds.
        """
        deadline = time.monotonic() + silence
        while not self._lines and not self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no output for {silence:g} s")
            self._exchange(b"", min(left, LOOK))
        return self._lines.popleft() if self._lines else None

    def write(self, text: str, patience: float) -> None:
        """Write to standard input; what comes meanwhile is read, so that neither side waits.

        A program that has ended takes nothing, which is no error: `read_line` tells it.

        Raises
        ------
        TimeoutError
            If it is not taken within `patience` seconds.
        """
        rest = text.encode()
        deadline = time.monotonic() + patience
        while rest and not self._ended:
            if time.monotonic() > deadline:
                raise TimeoutError(f"input was not taken within {patience:g} s")
            rest = self._exchange(rest, LOOK)

    def close_input(self) -> None:
        """Let the program read the end of its input."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def wait(self, patience: float) -> int | None:
        """Read to the end of the output; the exit code, or None if it has not ended by then."""
        deadline = time.monotonic() + patience
        while self.exit_code is None and time.monotonic() < deadline:
            if self._ended:
                time.sleep(0.005)
            else:
                self._exchange(b"", min(LOOK, max(0.0, deadline - time.monotonic())))
        return self.exit_code

    def stop(self) -> None:
        """End it now, and let go of its streams."""
        super().stop()
        for stream in (self._guard.stdin, self._guard.stdout, self._copy):
            if stream is not None:
                stream.close()
        self._ended = True

    def _exchange(self, rest: bytes, patience: float) -> bytes:
        """Wait for one of the streams; read what there is, write what fits, return what did not."""
        stdin, stdout = self._guard.stdin, self._guard.stdout
        with selectors.DefaultSelector() as selector:
            if stdout is not None and not self._ended:
                selector.register(stdout, selectors.EVENT_READ)
            if rest and stdin is not None:
                selector.register(stdin, selectors.EVENT_WRITE)
            ready = [key.fileobj for key, _ in selector.select(patience)]
        if stdout in ready:
            self._read()
        elif not ready and self.exit_code is not None:
            while self._read():  # what came between the look and the end
                pass
            self._finish()  # somebody else may hold the stream for ever
        if rest and stdin in ready and stdin is not None:
            try:
                return rest[stdin.write(rest) or 0 :]
            except BrokenPipeError:
                return b""
        return rest

    def _read(self) -> bool:
        """Take what there is now; whether there was something."""
        chunk = None if self._guard.stdout is None else self._guard.stdout.read(CHUNK)
        if chunk is None:
            return False
        if not chunk:
            self._finish()
            return False
        self._copy.write(chunk)
        self._copy.flush()
        if b"\n" not in chunk:
            self._pending.append(chunk)
            return True
        *lines, rest = b"".join([*self._pending, chunk]).split(b"\n")
        self._pending = [rest] if rest else []
        self._lines += [line.decode(errors="replace") for line in lines]
        return True

    def _finish(self) -> None:
        """Hand out a last line that has no end."""
        self._ended = True
        if self._pending:
            self._lines.append(b"".join(self._pending).decode(errors="replace"))
            self._pending = []
