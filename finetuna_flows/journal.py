"""A file of sealed records, only ever appended to: what is in it survives whatever happens next.

Each record is a line of JSON with its checksum, on disk before `Journal.append` returns.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import zlib
from contextlib import suppress
from pathlib import Path

from finetuna_flows.errors import CheckpointError

logger = logging.getLogger(__name__)

Json = dict[str, object]


class Journal:
    """Records in one file; `open` before the first `append`.

    Parameters
    ----------
    path
        In a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Json]:
        """The records so far; a last one that was torn while it was written is dropped for good.

        Raises
        ------
        CheckpointError
            If an earlier one is damaged.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        lines = content.splitlines(keepends=True)
        bodies = [_unsealed(line) for line in lines]
        if bodies and bodies[-1] is None:
            logger.warning(
                "%s:%d: the last record is damaged (the run was killed while writing it) and is "
                "dropped",
                self.path,
                len(lines),
            )
            os.truncate(self.path, len(content) - len(lines[-1]))
            bodies.pop()
        whole = [body for body in bodies if body is not None]
        if len(whole) < len(bodies):
            raise CheckpointError(
                f"{self.path}:{bodies.index(None) + 1}: damaged record before the last one; "
                "restore the file from a copy, or start in another directory"
            )
        return whole

    def open(self) -> bool:
        """Open for appending; whether the file was empty or not there."""
        self._file = self.path.open("ab", buffering=0)
        return self._file.tell() == 0

    def append(self, body: Json) -> None:
        """Put a record on disk.

        Raises
        ------
        CheckpointError
            If the disk refuses; the record is then not in the file.
        """
        data = _sealed(body)
        start = self._file.tell()
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, "the disk took only a part of the record")
            os.fsync(self._file.fileno())
            if start == 0:
                _sync_directory(self.path.parent)
        except OSError as exc:
            with suppress(OSError):  # what remains is a torn record, dropped when it is read
                self._file.truncate(start)
            raise CheckpointError(f"{self.path} cannot be written: {exc}") from exc

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def rename_aside(file: Path) -> None:
    """Give a file the first free number as another ending."""
    number = 1
    while (aside := file.with_name(f"{file.name}.{number}")).exists():
        number += 1
    file.rename(aside)


def _sealed(body: Json) -> bytes:
    text = json.dumps(body, separators=(",", ":"))
    return f'{{"crc32":{zlib.crc32(text.encode())},"body":{text}}}\n'.encode()


def _unsealed(line: bytes) -> Json | None:
    """Return what a line holds; None where it is torn or altered."""
    if not line.endswith(b"\n"):
        return None
    try:
        sealed = json.loads(line)
    except ValueError:
        return None
    body = sealed.get("body") if isinstance(sealed, dict) else None
    return body if isinstance(body, dict) and _sealed(body) == line else None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
