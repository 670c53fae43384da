"""How a program ended, in words: a signal is named only where there was one."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from finetuna_flows.processes.ending import ending, signal_of
from finetuna_flows.processes.program import Program


def ended(script: str, folder: Path) -> int:
    words = ["sh", "-c", script]
    program = Program(words, folder, output="out", errors="err", environment={})
    try:
        code = program.wait(20)
    finally:
        program.stop()
    assert code is not None
    return code


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "ended with exit code 0"),
        ("exit 14", "ended with exit code 14"),
        ("exit 128", "ended with exit code 128"),
        ("exit 174", "ended with exit code 174 (Intel Fortran's for a segmentation fault"),
        ("exit 173", "ended with exit code 173"),
        ("exit 145", "ended with exit code 145"),  # SIGCHLD ends nothing
        ("exit 160", "ended with exit code 160"),
        ("exit 192", "ended with exit code 192"),  # SIGRTMAX
        ("exit 255", "ended with exit code 255"),
        ("kill -9 $$", "was ended by signal 9 (SIGKILL), exit code 137"),
        ("ulimit -c 0; kill -SEGV $$", "was ended by signal 11 (SIGSEGV), exit code 139"),
        ("sh -c 'kill -TERM $$'; exit $?", "was ended by signal 15 (SIGTERM), exit code 143"),
    ],
)
def test_the_words_say_how_a_program_ended(script: str, words: str, tmp_path: Path) -> None:
    assert ending(ended(script, tmp_path)).startswith(words)


def test_a_signal_is_taken_as_subprocess_has_it() -> None:
    done = subprocess.run(["sh", "-c", "kill -KILL $$"], check=False)
    assert ending(done.returncode) == "was ended by signal 9 (SIGKILL)"


def test_every_code_is_said_and_only_signals_that_end_a_program_are_named() -> None:
    lethal = {code - 128 for code in range(256) if signal_of(code) is not None}
    assert {signal.SIGHUP, signal.SIGINT, signal.SIGABRT, signal.SIGSEGV, signal.SIGXCPU} <= lethal
    assert max(lethal) < signal.SIGRTMIN
    assert not lethal & {signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGWINCH}
    assert all(str(code) in ending(code) for code in range(256))
