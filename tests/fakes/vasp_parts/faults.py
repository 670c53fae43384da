"""Faults on demand."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable

from .switches import Switches

COUNTER = "FAKE_VASP.count"
SEGMENTATION = """\
forrtl: severe (174): SIGSEGV, segmentation fault occurred
Image              PC                Routine            Line        Source
vasp_std           0000000000C0FFEE  Unknown               Unknown  Unknown
"""


class Faults:
    """Knows which faults are due at which ionic step."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches

    def due(self, step: int) -> frozenset[str]:
        """Names of the faults that happen at an ionic step of this process, from 1."""
        counted = self._count() if self._switches.counter else step
        names = frozenset(name for name, at in self._switches.faults if at == counted)
        path = self._switches.fault_file
        if names and path:
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                return frozenset()
        return names

    def _count(self) -> int:
        """One more ionic step of all processes that share the counter."""
        assert self._switches.counter
        with (self._switches.counter / COUNTER).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            count = int(file.read() or 0) + 1
            file.truncate(0)
            file.write(str(count))
        return count


def break_down(names: frozenset[str], say: Callable[[str], None]) -> None:
    """Die or fall silent in the middle of a step, without a flush, if one of `names` means that."""
    if "zpotrf" in names:
        say(" LAPACK: Routine ZPOTRF failed!           1           1           1\n")
        say(" LAPACK: Routine ZPOTRF failed!\n")
        os._exit(1)
    if "die0" in names:
        os._exit(0)
    if "die" in names:
        sys.stderr.write(SEGMENTATION)
        sys.stderr.flush()
        os._exit(1)
    if "kill" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    while "silent" in names:
        time.sleep(3600)
