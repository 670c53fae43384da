"""The flows run under jobflow-remote, and what twin jobs may expect of it.

Behind it is a stand-in for MongoDB, of whose concurrency this shows nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobflow import Flow, Job, JobConfig

from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.processes.tree import PROC
from finetuna_flows.results.find import relaxation_summaries
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.children import wait_until
from tests.fakes.meeting import TOGETHER, meet, meeting
from tests.fakes.mongo import MongoServer
from tests.remote import WORKERS, RemoteJob, RemoteProject
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS, oxygen_on_copper

remote = pytest.importorskip("jobflow_remote", reason="needs the extra `remote`")
pytestmark = pytest.mark.slow

ONE_SLOT = {"max_jobs": 1}


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


def test_two_pairs_of_twins_meet_on_two_workers(tmp_path: Path, server: MongoServer) -> None:
    """One slot on each worker: the second pair waits, and never comes between the first."""
    flows = [meeting(tmp_path / name) for name in ("one", "two")]
    with RemoteProject(tmp_path, server.port, dict.fromkeys(WORKERS, ONE_SLOT)) as project:
        jobs = project.run(*flows, patience=50)
        assert project.children.alive() == set()
    assert [each.state for each in jobs] == ["COMPLETED"] * 4, jobs
    assert sorted((each.name, each.worker) for each in jobs) == [
        ("learner", "gpu"),
        ("learner", "gpu"),
        ("parent", "cpu"),
        ("parent", "cpu"),
    ]
    for each in jobs:
        assert each.output["directory"] == str(each.folder)
        assert each.folder == tmp_path / each.worker / _nested(each.uuid)


def _nested(uuid: str) -> str:
    return f"{uuid[:2]}/{uuid[2:4]}/{uuid[4:6]}/{uuid}_1"


def test_the_configuration_of_a_job_is_that_of_set_run_config(
    tmp_path: Path, server: MongoServer
) -> None:
    config = {"export": {"COLOUR": "blue"}, "pre_run": "test -d ."}
    resources = {"qverbatim": "export SHADE=dark"}
    one, two = (meet("learner", "parent", str(tmp_path), 1) for _ in range(2))
    remote.set_run_config(
        one,
        worker="gpu",
        resources=resources,
        exec_config=remote.config.base.ExecutionConfig(**config),
    )
    two.config = JobConfig(
        manager_config={"worker": "gpu", "resources": resources, "exec_config": config}
    )
    with RemoteProject(tmp_path, server.port) as project:
        project.submit(one)
        project.submit(two)
        said = [(each.worker, each.resources, each.exec_config) for each in project.jobs()]
    full = {"modules": None, "post_run": None, **config}
    assert said == [("gpu", resources, full)] * 2


def test_twins_on_one_worker_with_one_slot_miss_each_other(
    tmp_path: Path, server: MongoServer
) -> None:
    """The second starts when the first has given up; what that one left misleads it."""
    flow = meeting(tmp_path / "shared", 3, TOGETHER)
    with RemoteProject(tmp_path, server.port, {"cpu": ONE_SLOT}) as project:
        first, second = project.run(flow, patience=50)
    assert {first.state, second.state} == {"FAILED", "COMPLETED"}
    assert "did not come within 3 s" in f"{first.error}{second.error}"


def test_a_second_try_runs_in_the_same_folder(tmp_path: Path, server: MongoServer) -> None:
    """Its files are still there only if whoever reran it said so."""
    alone = meet("learner", "parent", str(tmp_path), 0.1)
    with RemoteProject(tmp_path, server.port) as project:
        (job,) = project.run(alone, patience=30)
        assert job.state == "FAILED"
        (tmp_path / "parent").touch()
        found = []
        with project.runner():
            for words in (["--no-delete"], ["--force"]):
                project.jf("job", "rerun", *words, job.number)
                wait_until(project.is_idle, 30, "the end of all jobs")
                (job,) = project.jobs()
                assert (job.state, job.output["directory"]) == ("COMPLETED", str(job.folder))
                found.append("came" in job.output["found"])
    assert found == [True, False]


def twins_without_end(folder: Path) -> Flow:
    """Each waits for a file that nobody makes but the test."""
    names = ("learner", "parent")
    twins: list[Flow | Job] = [meet(name, "nobody", str(folder), 30) for name in names]
    return Flow(twins)


def test_a_stopped_twin_leaves_the_other_alone(tmp_path: Path, server: MongoServer) -> None:
    with RemoteProject(tmp_path, server.port) as project:
        project.submit(twins_without_end(tmp_path))
        with project.runner():
            parent = _parent_when_both_came(project, tmp_path)
            project.jf("job", "stop", parent.number)
            (tmp_path / "nobody").touch()
            wait_until(project.is_idle, 30, "the end of all jobs")
        states = {each.name: each.state for each in project.jobs()}
    assert states == {"learner": "COMPLETED", "parent": "USER_STOPPED"}


def test_a_killed_twin_leaves_the_other_alone(tmp_path: Path, server: MongoServer) -> None:
    def now(name: str) -> RemoteJob:
        return next(each for each in project.jobs() if each.name == name)

    with RemoteProject(tmp_path, server.port) as project:
        project.submit(twins_without_end(tmp_path))
        with project.runner():
            parent = _parent_when_both_came(project, tmp_path)
            for pid in project.children.alive():
                if str(parent.folder) in (PROC / str(pid) / "cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda: now("parent").state == "FAILED", 30, "the parent's failure")
            assert now("learner").state == "RUNNING"
        assert "likely killed" in str(now("parent").error)


def _parent_when_both_came(project: RemoteProject, folder: Path) -> RemoteJob:
    came = [folder / name for name in ("learner", "parent")]
    wait_until(lambda: all(map(Path.exists, came)), 30, "the twins")
    return next(each for each in project.jobs() if each.name == "parent")


def test_a_relaxation_is_kept_whole(tmp_path: Path, server: MongoServer) -> None:
    maker = OnlineRelaxMaker(
        surrogate=AseSurrogateSpec(MORSE, MORSE_ARGUMENTS), parent=AseParentSpec(EMT)
    )
    with RemoteProject(tmp_path, server.port) as project:
        (job,) = project.run(maker.make(to_structure(oxygen_on_copper())), patience=50)
        assert job.state == "COMPLETED", job.error
        store: Any = project.store()
        store.connect()
        try:
            (summary,) = relaxation_summaries(store)
            assert summary.converged
            whole = store.get_output(job.uuid, load=True)
            assert store.additional_stores["data"].count({"job_uuid": job.uuid}) == 2
        finally:
            store.close()
    assert "blob_uuid" in job.output["trajectory"]
    assert "blob_uuid" not in whole["trajectory"]
