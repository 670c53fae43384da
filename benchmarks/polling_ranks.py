"""A launcher whose ranks poll while they wait, as those of MPI do.

    python benchmarks/polling_ranks.py 2 COMMAND …

runs the command beside two processes that use a processor each until it has ended, or until they
are stopped. In a `Placement` it stands for ``mpirun -n 3``: the command is rank 0, which sleeps
while it waits for the learner, and the others, each bound to a processor, wait for rank 0.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    cores = sorted(os.sched_getaffinity(0))
    polling = [_fork_poller(cores[number % len(cores)]) for number in range(int(words[0]))]
    try:
        return subprocess.call(words[1:])
    finally:
        for pid in polling:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _fork_poller(core: int) -> int:
    launcher = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    os.sched_setaffinity(0, {core})
    while os.getppid() == launcher:
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
