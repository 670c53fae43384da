"""Programs under a guard: what they say, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finetuna_flows.processes.program import Program
from finetuna_flows.processes.ranks import VARIABLE, Ranks, RanksError
from finetuna_flows.processes.tree import all_processes, descendants, environment, read_state

BUSY = "while :; do :; done"
Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Program] = []

    def shell(script: str, **environment: str) -> Program:
        words = ["sh", "-c", script]
        program = Program(words, tmp_path, output="out", errors="err", environment=environment)
        started.append(program)
        return program

    yield shell
    for program in started:
        program.stop()


def wait_for(condition: Callable[[], object], patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_come_one_by_one_and_are_kept(start: Start, tmp_path: Path) -> None:
    program = start("echo one; echo two; printf three; echo odd >&2")
    assert [program.read_line(5) for _ in range(4)] == ["one", "two", "three", None]
    assert program.wait(5) == 0
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree"
    assert (tmp_path / "err").read_text() == "odd\n"


def test_it_runs_in_its_folder_with_its_variables(start: Start, tmp_path: Path) -> None:
    program = start('pwd; echo "$COLOUR"', COLOUR="blue")
    assert program.read_line(5) == str(tmp_path.resolve())
    assert program.read_line(5) == "blue"


def test_silence_has_a_deadline(start: Start) -> None:
    program = start("sleep 60")
    with pytest.raises(TimeoutError, match=r"no output for 0\.2 s"):
        program.read_line(0.2)


def test_input_that_nobody_reads_has_a_deadline(start: Start) -> None:
    program = start("sleep 60")
    with pytest.raises(TimeoutError, match="input was not taken"):
        program.write("x" * 10_000_000, 0.5)


def test_much_input_and_much_output_do_not_wait_for_each_other(start: Start) -> None:
    program = start("while read line; do echo $line; done")
    program.write("0123456789\n" * 50_000, 60)
    program.close_input()
    count = 0
    while program.read_line(10) is not None:
        count += 1
    assert count == 50_000


def test_writing_to_the_dead_is_no_error(start: Start) -> None:
    program = start("exit 3")
    assert program.wait(5) == 3
    program.write("x\n" * 1000, 5)
    assert program.read_line(1) is None


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("exec nonesuch", 127)]
)
def test_the_exit_code_says_how_it_ended(start: Start, script: str, code: int) -> None:
    program = start(script)
    assert program.read_line(5) is None
    assert program.wait(5) == code


def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    program = Program(["nonesuch"], tmp_path, output="out", errors="err", environment={})
    assert program.wait(5) == 127
    program.stop()
    assert (tmp_path / "err").read_text() == "nonesuch: No such file or directory\n"


def test_stop_ends_all_of_it_even_what_detached_itself(start: Start) -> None:
    program = start(f"({BUSY}) & setsid sh -c '{BUSY}' & trap '' TERM; echo on; {BUSY}")
    assert program.read_line(5) == "on"
    pids = [each.pid for each in program.processes()]
    assert len(pids) == 3
    program.stop()
    assert [pid for pid in pids if read_state(pid)] == []


def test_what_the_program_leaves_behind_ends_with_it(start: Start) -> None:
    program = start("setsid sleep 77 & echo on")
    assert program.read_line(5) == "on"
    program.wait(5)
    wait_for(lambda: not [each for each in all_processes() if _sleeps(each.pid, "77")])


def _sleeps(pid: int, seconds: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{seconds}\0".encode()
    except OSError:
        return False


OWNER = f"""
import time
from pathlib import Path
from finetuna_flows.processes.program import Program
program = Program(["sh", "-c", "({BUSY}) & echo on; {BUSY}"], Path("."), output="out",
    errors="err", environment={{}})
program.read_line(10)
{{pause}}
print(program.pid, *[each.pid for each in program.processes()], flush=True)
time.sleep(60)
"""
PAUSE = """
from finetuna_flows.processes.ranks import Ranks
Ranks(program, "").stop()
"""


@pytest.mark.parametrize("pause", ["", PAUSE], ids=["running", "stopped"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_its_owner(tmp_path: Path, number: int, pause: str) -> None:
    script = OWNER.replace("{pause}", pause)
    words = [sys.executable, "-c", script]
    owner = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert owner.stdout is not None
    with owner, owner.stdout as said:
        pids = [int(word) for word in said.readline().split()]
        assert len(pids) == 3
        os.kill(owner.pid, number)
    wait_for(lambda: not [pid for pid in pids if read_state(pid)])


def test_it_does_not_outlive_its_guard(start: Start) -> None:
    program = start(f"echo on; {BUSY}")
    program.read_line(5)
    (busy,) = program.processes()
    os.kill(program.pid, signal.SIGKILL)
    wait_for(lambda: read_state(busy.pid) is None)


def test_ranks_behind_a_wrapper_stop_and_go_on(start: Start) -> None:
    program = start(f"echo on; sh -c '({BUSY}) & ({BUSY}) & wait'")
    program.read_line(5)
    ranks = Ranks(program, "")
    wait_for(lambda: len(ranks.find()) == 2)
    ranks.stop()
    before = [each.cpu for each in ranks.find()]
    time.sleep(0.3)
    assert [each.cpu for each in ranks.find()] == before
    assert {each.state for each in ranks.find()} == {"T"}
    ranks.resume()
    wait_for(lambda: all(now.cpu > was for now, was in zip(ranks.find(), before, strict=True)))


@pytest.mark.parametrize("daemon", ["orted", "prted"])
def test_a_program_with_nothing_below_it_but_a_daemon_of_mpi_is_the_rank(
    start: Start, tmp_path: Path, daemon: str
) -> None:
    shutil.copy("/bin/sleep", tmp_path / daemon)
    program = start(f"./{daemon} 60 & echo ready; {BUSY}")
    assert program.read_line(5) == "ready"
    wait_for(lambda: daemon in [each.name for each in program.processes()])
    ranks = Ranks(program, "")
    ranks.stop()
    states = {each.name: each.state for each in program.processes()}
    assert states["sh"] == "T"
    assert states[daemon] != "T"
    ranks.resume()
    assert {each.name: each.state for each in program.processes()}["sh"] != "T"


def test_a_program_that_is_gone_cannot_be_paused(start: Start) -> None:
    program = start("exit 0")
    program.wait(5)
    with pytest.raises(RanksError, match="no rank of the program runs"):
        Ranks(program, "").stop()


def test_strangers_are_known_by_a_variable(start: Start, tmp_path: Path) -> None:
    """As SLURM does it: the launcher is called srun, and the rank belongs to somebody else."""
    marker = Ranks.new_marker()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/scancelled\n')
    (bin_ / "scancel").chmod(0o755)
    (bin_ / "srun").symlink_to("/bin/sleep")
    program = Program(
        [str(bin_ / "srun"), "60"], tmp_path, output="out", errors="err", environment=marker
    )
    variables = {**os.environ, **marker, "SLURM_JOB_ID": "12", "SLURM_STEP_ID": "3"}
    stranger = subprocess.Popen(["sh", "-c", BUSY], env=variables, start_new_session=True)
    try:
        ranks = Ranks(program, marker[VARIABLE])
        wait_for(lambda: [each.pid for each in ranks.find()] == [stranger.pid])
        path = f"{bin_}:{os.environ['PATH']}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", path)
            ranks.stop()
            assert read_state(stranger.pid).state == "T"  # type: ignore[union-attr]
            ranks.resume()
        assert (tmp_path / "scancelled").read_text() == "--signal=STOP 12.3\n--signal=CONT 12.3\n"
    finally:
        stranger.kill()
        stranger.wait()
        program.stop()


def test_ranks_on_other_nodes_are_not_taken_for_stopped(start: Start, tmp_path: Path) -> None:
    """A launcher reaches them by a remote shell, which is all that runs here."""
    (tmp_path / "ssh").symlink_to("/bin/sleep")
    program = start(f"echo on; {tmp_path}/ssh 60 & wait")
    program.read_line(5)
    ranks = Ranks(program, "")
    wait_for(lambda: [each.name for each in ranks.find()] == ["ssh"])
    with pytest.raises(RanksError, match="other nodes too"):
        ranks.stop()


def test_what_came_just_before_the_end_is_read(start: Start) -> None:
    """The stream stays open in a process that has left the program."""
    program = start("echo one; printf two")
    wait_for(lambda: program.exit_code == 0)
    assert [program.read_line(1) for _ in range(3)] == ["one", "two", None]


def test_signals_that_python_ignores_work_in_programs(start: Start) -> None:
    program = start("grep SigIgn /proc/self/status")
    said = program.read_line(5)
    assert said is not None
    ignored = int(said.split()[1], 16)
    assert not [each for each in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> (each - 1) & 1]


def test_processes_that_may_not_be_looked_at_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert read_state(1) is None


def test_descendants_are_those_of_the_tree(start: Start) -> None:
    program = start("sleep 60 & sleep 60 & wait")
    wait_for(lambda: len(program.processes()) == 3)
    shell = program.processes()[0]
    assert shell.name == "sh"
    assert {each.name for each in descendants(shell.pid)} == {"sleep"}
    assert b"PATH=" + os.environ["PATH"].encode() in environment(shell.pid)
    assert read_state(2**22 + 1) is None
