"""How a program ended, in words."""

from __future__ import annotations

import signal

from finetuna_flows.processes.guard import ENDED_BY_SIGNAL

LAST_STANDARD = 31
"""Linux has real-time signals after it (signal(7)); nothing that ends a program sends them."""
LET_LIVE = frozenset({
    signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN,
    signal.SIGTTOU, signal.SIGURG, signal.SIGWINCH,
})  # fmt: skip
"""Signals that by default stop, continue or leave alone: signal(7)."""
KNOWN_CODES = {174: "Intel Fortran's for a segmentation fault (SIGSEGV)"}
"""What a code that is no signal means. A program of Intel Fortran that a severe error ends returns
the number of that error: Intel Fortran Compiler Developer Guide 2023.1, Values Returned at Program
Termination; 174 is "SIGSEGV, segmentation fault occurred"."""


def signal_of(code: int) -> signal.Signals | None:
    """The signal that ended a program; None where it ended by itself.

    Parameters
    ----------
    code
        As `subprocess` has it, negative where a signal ended the program; or 128 plus the number of
        the signal, as shells, launchers and our guard pass it on.
    """
    number = -code if code < 0 else code - ENDED_BY_SIGNAL
    if not 0 < number <= LAST_STANDARD:
        return None
    found = signal.Signals(number)
    return None if found in LET_LIVE else found


def ending(code: int, by_itself: str = "ended") -> str:
    """Say how a program ended: by which signal, if by one, and with which exit code.

    Parameters
    ----------
    code
        As in `signal_of`.
    by_itself
        Verb for a program that no signal ended.

    Examples
    --------
    >>> ending(137)
    'was ended by signal 9 (SIGKILL), exit code 137'
    >>> ending(1)
    'ended with exit code 1'
    """
    ended_by = signal_of(code)
    if ended_by is not None:
        said = f"was ended by signal {ended_by.value} ({ended_by.name})"
        return said if code < 0 else f"{said}, exit code {code}"
    meaning = f" ({KNOWN_CODES[code]})" if code in KNOWN_CODES else ""
    return f"{by_itself} with exit code {code}{meaning}"
