"""The stand-in's other ranks: they burn while rank 0 lives, and not longer."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.fakes.vasp_runs import (
    COMMAND,
    INTERACTIVE,
    Talk,
    fractional,
    prepare,
    read_steps,
    shaken,
)
from tests.systems import oxygen_on_copper

pytestmark = pytest.mark.slow

PROMPT = "reading from stdin\n"


def relatives(pid: int) -> list[int]:
    """All processes below one."""
    below = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return below + [deep for child in below for deep in relatives(child)]


def cpu_time(pid: int) -> float:
    """Seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def alive(pids: list[int]) -> list[int]:
    """Those that are there and no zombies."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
    return [pid for pid, state in states.items() if state != "Z"]


def gone_within(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pids)


@pytest.mark.parametrize("way", ["end", "kill", "stopped"])
def test_forked_ranks_burn_until_rank_0_is_gone(tmp_path: Path, way: str) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    with Talk(tmp_path, ranks="3") as talk:
        talk.listen(PROMPT)
        pid = talk.process.pid
        others = relatives(pid)
        assert len(others) == 2
        before = [cpu_time(one) for one in (*others, pid)]
        time.sleep(0.5)
        used = [cpu_time(one) - time_ for one, time_ in zip((*others, pid), before, strict=True)]
        assert min(used[:2]) > 0.05
        assert used[2] == 0
        if way == "stopped":
            for one in others:
                os.kill(one, signal.SIGSTOP)
        if way == "end":
            assert talk.process.stdin
            talk.process.stdin.close()
            assert talk.end() == 0
        else:
            talk.process.kill()
        assert gone_within(others, 1.0)
    assert (way == "end") == (not (tmp_path / "FAKE_VASP.lock").exists())
    assert "running on    3 total cores" in talk.heard


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="no mpirun here")
def test_ranks_of_mpirun(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    launch = ("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", *COMMAND)
    with Talk(tmp_path, command=launch) as talk:
        talk.listen(PROMPT)
        assert len(read_steps(talk.label(fractional(shaken(0))))) == 1
        ranks = relatives(talk.process.pid)
        before = [cpu_time(one) for one in ranks]
        time.sleep(0.5)
        used = [cpu_time(one) - time_ for one, time_ in zip(ranks, before, strict=True)]
        assert sorted(one > 0.05 for one in used) == [False, True]
        assert talk.process.stdin
        talk.process.stdin.close()
        assert talk.end() == 0
    assert gone_within(ranks, 1.0)
    assert "running on    2 total cores" in talk.heard
    assert talk.heard.count("entering main loop") == 1
    prepare(tmp_path, oxygen_on_copper(), "NSW = 0\n")
    for _ in range(3):
        done = subprocess.run(launch, cwd=tmp_path, capture_output=True, check=True, timeout=20)
        assert done.stdout.count(b" F= ") == 1
