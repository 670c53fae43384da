"""What SLURM does with jobs and steps: what the flows rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Jobs, jobs_in, wait_until

pytestmark = pytest.mark.slurm


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as those:
        yield those


def test_a_batch_job_runs(jobs: Jobs) -> None:
    job = jobs.submit('pwd; echo "$SLURM_NTASKS on $SLURM_JOB_PARTITION"', "cpu", "--ntasks=2")
    assert jobs.wait(job, {"COMPLETED"}, 20) == "COMPLETED"
    assert jobs.said(job).splitlines() == [str(jobs.folder), "2 on cpu"]
    assert jobs.left() == []


def test_a_job_that_fails_says_so(jobs: Jobs) -> None:
    job = jobs.submit("echo sorry; exit 3", "cpu")
    assert jobs.wait(job, {"FAILED"}, 20) == "FAILED"
    with pytest.raises(AssertionError, match=f"job {job} is FAILED and has said: sorry"):
        jobs.wait(job, {"COMPLETED"}, 20)


MEET = """
touch "$SLURM_JOB_PARTITION"
for i in $(seq 100); do
    [ -e gpu ] && [ -e cpu ] && echo "met with GPU <$CUDA_VISIBLE_DEVICES>" && exit 0
    sleep 0.1
done
exit 1
"""


def test_jobs_on_both_partitions_run_at_once(jobs: Jobs) -> None:
    gpu = jobs.submit(MEET, "gpu", "--ntasks=2", "--gres=gpu:1")
    cpu = jobs.submit(MEET, "cpu", "--ntasks=2")
    for job in (gpu, cpu):
        jobs.wait(job, {"COMPLETED"}, 20)
    assert (jobs.said(gpu), jobs.said(cpu)) == ("met with GPU <0>\n", "met with GPU <>\n")


def test_four_jobs_of_two_cores_run_at_once_and_a_second_gpu_job_waits(jobs: Jobs) -> None:
    first = jobs.submit("sleep 60", "gpu", "--ntasks=2", "--gres=gpu:1")
    others = [jobs.submit("sleep 60", "cpu", "--ntasks=2") for _ in range(2)]
    jobs.wait(first, {"RUNNING"}, 20)
    second = jobs.submit("sleep 60", "gpu", "--ntasks=2", "--gres=gpu:1")
    last = jobs.submit("sleep 60", "cpu", "--ntasks=2")
    for job in (*others, last):
        jobs.wait(job, {"RUNNING"}, 20)
    assert (jobs.state(first), jobs.state(second)) == ("RUNNING", "PENDING")
    jobs.cancel(first)
    jobs.wait(second, {"RUNNING"}, 20)


def test_a_step_runs_beside_the_batch_script(jobs: Jobs) -> None:
    """Which holds no cores itself, so it needs no `--overlap` while there is no other step."""
    beside = "srun --exact -n1 --gres=none {} sh -c 'echo step \"<$CUDA_VISIBLE_DEVICES>\"'"
    script = f"{beside.format('--overlap')}; {beside.format('')}"
    job = jobs.submit(script, "gpu", "--ntasks=1", "--gres=gpu:1")
    jobs.wait(job, {"COMPLETED"}, 20)
    assert jobs.said(job).splitlines() == ["step <>", "step <>"]


@pytest.mark.parametrize("overlap", ["", "--overlap"])
def test_a_step_beside_another_blocks_unless_they_overlap(jobs: Jobs, overlap: str) -> None:
    step = f"timeout 4 srun {overlap} --exact -n1 --gres=none echo second"
    script = f"srun --exact -n2 sleep 30 & sleep 1; {step}; echo $?; kill $!; wait"
    job = jobs.submit(script, "gpu", "--ntasks=2", "--gres=gpu:1")
    wait_until(lambda: jobs.state(job) == "COMPLETED", 25, "the job goes on")
    said = jobs.said(job)
    assert ("second\n0\n" in said) is (overlap != "")
    assert ("\n124\n" in f"\n{said}") is (overlap == "")  # timeout(1) had to end it


def test_cancelling_one_job_leaves_the_other(jobs: Jobs) -> None:
    one, other = (jobs.submit("sleep 60", partition) for partition in ("gpu", "cpu"))
    for job in (one, other):
        jobs.wait(job, {"RUNNING"}, 20)
    jobs.cancel(one)
    jobs.wait(one, {"CANCELLED"}, 10)
    assert jobs.state(other) == "RUNNING"
    assert jobs.left() == [other]
