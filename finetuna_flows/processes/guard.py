"""Keeps a program from outliving the process that started it.

The guard is the program's parent. It ends, with the program's exit code, when the program does,
and ends the program and all that it started when the owner dies, however that happens, or when
the guard is told to by SIGTERM. What detaches itself comes back to the guard, which is the
"subreaper" of all below it (prctl(2)); if the guard itself is killed, so is the program.

It imports nothing but the standard library and `tree`, to start quickly.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import NoReturn

from finetuna_flows.processes.tree import descendants

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL = 0.2
"""Seconds; how often the guard looks whether its owner is alive."""
ENDED_BY_SIGNAL = 128
"""Added to the number of a signal, as shells do."""
NOT_STARTED = 127
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WATCHED = (signal.SIGCHLD, *ENDING)


def main(arguments: list[str]) -> NoReturn:
    """Start the program, wait, clean up, and end with its exit code.

    Parameters
    ----------
    arguments
        Process id of the owner; seconds that the program has to end when it is asked to; numbers
        of the cores that it may use, with commas; ``--``; the program's words.
    """
    owner, grace, words = int(arguments[0]), float(arguments[1]), arguments[4:]
    os.sched_setaffinity(0, map(int, arguments[2].split(",")))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    program = os.fork()
    if program == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; exec would keep that
            signal.signal(ignored, signal.SIG_DFL)
        try:
            os.execvp(words[0], words)  # noqa: S606 - no shell is wanted
        except OSError as error:
            os.write(2, f"{words[0]}: {error.strerror}\n".encode())
            os._exit(NOT_STARTED)
    for stream in (0, 1, 2):  # the program's own; it alone must hold their ends
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    code: int | None = None
    asked = False
    while code is None and not asked and os.getppid() == owner:
        received = signal.sigtimedwait(WATCHED, POLL)
        # of a wait that SIGSTOP has cut, CPython returns a signal that never came, number and all
        asked = received is not None and received.si_signo in ENDING
        code = _reap(program)
    _end_all(program if code is None else None, grace)
    os._exit(ENDED_BY_SIGNAL + signal.SIGTERM if code is None else code)


def _reap(program: int) -> int | None:
    """Bury what has ended; the exit code of `program` if it is among that."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid == program:
                plain = os.waitstatus_to_exitcode(status)
                code = plain if plain >= 0 else ENDED_BY_SIGNAL - plain
    return code


def _end_all(program: int | None, grace: float) -> None:
    """Ask the program to end, so that launchers reach other nodes; then kill what is left."""
    me = os.getpid()
    if program is not None:
        _signal_all(me, signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and _reap(program) is None:
            time.sleep(0.02)
    while descendants(me):
        _signal_all(me, signal.SIGKILL)
        time.sleep(0.005)
    _reap(0)


def _signal_all(root: int, number: int) -> None:
    for each in descendants(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, number)
