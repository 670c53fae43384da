"""Who in a job gets a signal, when, and how long it has to end: what the flows rely on."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Jobs, jobs_in, python, wait_until

pytestmark = pytest.mark.slurm

RECORDER = """
import signal, sys, time
from pathlib import Path

def note(word, *_):
    with Path(sys.argv[1]).open("a") as file:
        print(time.time(), word, file=file)

signal.signal(signal.SIGTERM, lambda *_: note("TERM"))
note("on")
while True:
    time.sleep(0.05)
    note("alive")
"""


class Recorder:
    """A program that does not heed SIGTERM and notes when it came."""

    def __init__(self, folder: Path) -> None:
        (folder / "recorder.py").write_text(RECORDER)
        self._notes = folder / "notes"
        self.command = python(folder / "recorder.py", self._notes)

    def times(self, word: str) -> list[float]:
        if not self._notes.exists():
            return []
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [float(line[0]) for line in lines if line[1:] == [word]]

    def wait_for(self, word: str, deadline: float) -> float:
        wait_until(lambda: self.times(word), deadline, f"the recorder has not noted {word!r}")
        return self.times(word)[0]

    def lives(self) -> bool:
        count = len(self.times("alive"))
        time.sleep(0.5)
        return len(self.times("alive")) > count


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as those:
        yield those


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


@pytest.mark.parametrize("start", ["exec {}", "trap : TERM; {}; true", "srun --overlap -n1 {}"])
def test_cancelling_sends_sigterm_to_all_and_sigkill_after_a_while(
    jobs: Jobs, recorder: Recorder, start: str
) -> None:
    """To the shell's children and to steps too; the shell must outlive them, or be replaced."""
    job = jobs.submit(start.format(recorder.command), "cpu")
    recorder.wait_for("on", 20)
    cancelled = time.time()
    jobs.cancel(job)
    assert recorder.wait_for("TERM", 5) - cancelled < 2
    wait_until(lambda: not jobs.left(), jobs.kill_wait + 10, "SIGKILL has not come")
    lived = recorder.times("alive")[-1] - cancelled
    assert jobs.kill_wait - 2 < lived < jobs.kill_wait + 5
    assert len(recorder.times("TERM")) == 1


def test_a_shell_that_sigterm_ends_takes_the_job_with_it(jobs: Jobs, recorder: Recorder) -> None:
    """Its child has no time then, and is even lost where SLURM tracks processes by parents."""
    job = jobs.submit(f"{recorder.command}; true", "cpu")
    recorder.wait_for("on", 20)
    jobs.cancel(job)
    wait_until(lambda: not jobs.left(), jobs.kill_wait / 2, "the job goes on")
    assert jobs.state(job) == "CANCELLED"
    jobs.kill()


def test_a_signal_to_the_batch_script_must_be_passed_on_by_it(
    jobs: Jobs, recorder: Recorder
) -> None:
    """As `#SBATCH --signal=B:TERM@…` sends it: the shell's children get nothing from SLURM."""
    script = f"trap 'kill -TERM $child; wait' TERM; {recorder.command} & child=$!; wait"
    job = jobs.submit(script, "cpu")
    recorder.wait_for("on", 20)
    jobs.cancel(job, options=["--batch", "--signal=TERM"])
    recorder.wait_for("TERM", 5)
    assert jobs.state(job) == "RUNNING"


def test_a_plain_signal_reaches_steps_and_not_the_batch_script(
    jobs: Jobs, recorder: Recorder
) -> None:
    """As `#SBATCH --signal=TERM@…`, without `B:`, sends it."""
    job = jobs.submit(f"srun --overlap -n1 sleep 60 & exec {recorder.command}", "cpu")
    recorder.wait_for("on", 20)
    wait_until(lambda: jobs.has_step(job), 10, "there is no step")
    jobs.cancel(job, options=["--signal=TERM"])
    wait_until(lambda: not jobs.has_step(job), 15, "the step goes on")
    assert recorder.lives()
    assert recorder.times("TERM") == []


@pytest.mark.slow
def test_the_batch_script_is_told_before_its_time_is_over(jobs: Jobs, recorder: Recorder) -> None:
    """SLURM looks twice a minute, so the signal comes up to a minute early."""
    options = ("--time=1", f"--signal=B:{signal.SIGTERM}@50")
    job = jobs.submit(f"exec {recorder.command}", "cpu", *options)
    begun = recorder.wait_for("on", 20)
    assert recorder.wait_for("TERM", 45) - begun < 45
    assert jobs.state(job) == "RUNNING"
