"""What each rank does."""

from __future__ import annotations

import os
import signal
import sys

from .fortran import InputError
from .ranks import Leader, follow, rank, size
from .switches import Switches


def main() -> int:
    """Be rank 0, or one of the others; the exit status."""
    if rank(os.environ):
        follow(os.environ)
        return 0
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    leader = None
    try:
        switches = Switches.from_environment(os.environ)
        leader = Leader(os.environ, switches.ranks - 1)
        from .program import run_here  # after the fork: the others need no numpy

        run_here(switches, size(os.environ) * switches.ranks)
    except InputError as exc:
        sys.stderr.write(f" ERROR: {exc}\n")
        return 1
    finally:
        if leader:
            leader.dismiss()
    return 0
