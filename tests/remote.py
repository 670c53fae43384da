"""A jobflow-remote project for tests: two workers on this computer, `gpu` and `cpu`.

    with MongoServer() as server, RemoteProject(tmp_path, server.port) as project:
        jobs = project.run(flow, patience=50)

Flows are submitted by `submit_flow` and run by `jf runner run`, in processes of their own, as a
user has them; of these and of the jobs none is left at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobflow import Flow, Job, JobStore
from monty.serialization import dumpfn
from pymongo import MongoClient

from tests.children import Children, wait_until
from tests.fakes.mongo import LOOPBACK

NAME = "twins"
"""Of the project and its database."""
WORKERS = ("cpu", "gpu")
INTERVALS = (
    "delay_checkout",
    "delay_check_run_status",
    "delay_advance_status",
    "delay_refresh_limited",
    "delay_update_batch",
)
START = """
from jobflow_remote import ConfigManager
ConfigManager().get_project().get_job_controller().reset()
"""
SUBMIT = """
import sys
from jobflow_remote import submit_flow
from monty.serialization import loadfn
submit_flow(loadfn(sys.argv[1]))
"""
BUSY = {
    "READY",
    "CHECKED_OUT",
    "UPLOADED",
    "SUBMITTED",
    "RUNNING",
    "RUN_FINISHED",
    "DOWNLOADED",
    "BATCH_SUBMITTED",
    "BATCH_RUNNING",
}
"""States that change without anybody's doing."""


@dataclass(frozen=True)
class RemoteJob:
    """What the database tells of a job."""

    number: str
    """The `db_id` that `jf` takes."""
    name: str
    uuid: str
    state: str
    worker: str
    folder: Path | None
    """Where it runs; None before it does."""
    error: str | None
    """The job's or, where there is none, the engine's."""
    output: Any
    """None where there is none."""
    exec_config: Any
    """As it was submitted."""
    resources: Any
    """As they were submitted."""


class RemoteProject:
    """A project whose jobs, results and additional store `data` are in one database.

    Parameters
    ----------
    directory
        Of all its files; removed by whoever made it.
    port
        Of the database server.
    settings
        Of the workers by their names, such as ``max_jobs``.
    """

    def __init__(
        self, directory: Path, port: int, settings: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self._directory = directory
        self._port = port
        self._is_initialised = False
        projects = directory / "projects"
        projects.mkdir()
        (projects / f"{NAME}.json").write_text(json.dumps(self._project(settings or {})))
        environment = {
            "JFREMOTE_PROJECTS_FOLDER": str(projects),
            "JFREMOTE_PROJECT": NAME,
            "JFREMOTE_CONFIG_FILE": str(projects / "none"),
        }
        self.children = Children(directory, environment)

    def _project(self, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        worker = {"type": "local", "scheduler_type": "shell"}
        return {
            "name": NAME,
            "queue": {"store": self._collection("jobs")},
            "jobstore": self._results(),
            "workers": {
                each: {**worker, "work_dir": str(self._directory / each), **settings.get(each, {})}
                for each in WORKERS
            },
            "runner": {**dict.fromkeys(INTERVALS, 1), "delta_retry": [1, 1, 1]},
        }

    def _results(self) -> dict[str, Any]:
        return {
            "docs_store": self._collection("outputs"),
            "additional_stores": {"data": self._collection("data")},
        }

    def _collection(self, name: str) -> dict[str, Any]:
        place = {"host": LOOPBACK, "port": self._port, "database": NAME}
        return {"type": "MongoStore", "collection_name": name, **place}

    def __enter__(self) -> Self:
        self.children.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.children.__exit__(kind, problem, trace)

    def submit(self, flow: Flow | Job) -> None:
        """Submit; jobs that name no worker go to the first, `cpu`."""
        file = self._directory / f"{flow.uuid}.json"
        dumpfn(flow, file)
        script = SUBMIT if self._is_initialised else START + SUBMIT
        self.children.run([sys.executable, "-c", script, str(file)], 30)
        self._is_initialised = True

    @contextmanager
    def runner(self) -> Iterator[subprocess.Popen[bytes]]:
        """Let the engine work; jobs that run at the end of this go on running."""
        process = self.children.start(["jf", "runner", "run"], "runner.out")
        try:
            yield process
        finally:
            self.children.end(process)

    def run(self, *flows: Flow | Job, patience: float) -> list[RemoteJob]:
        """Submit, let the engine work until nothing is to do; all jobs of the project.

        Raises
        ------
        AssertionError
            If it takes longer than `patience` seconds.
        """
        for each in flows:
            self.submit(each)
        with self.runner():
            wait_until(self.is_idle, patience, "the end of all jobs")
        return self.jobs()

    def is_idle(self) -> bool:
        """Whether every job has come to an end."""
        states = {each.state for each in self.jobs()}
        waits = "WAITING" in states and not states & {"FAILED", "REMOTE_ERROR"}
        return not states & BUSY and not waits

    def jobs(self) -> list[RemoteJob]:
        """All jobs in the order of submission, as they are now."""
        with MongoClient[dict[str, Any]](LOOPBACK, self._port) as client:
            database = client[NAME]
            outputs = {each["uuid"]: each["output"] for each in database["outputs"].find()}
            return [
                RemoteJob(
                    number=each["db_id"],
                    name=each["job"]["name"],
                    uuid=each["uuid"],
                    state=each["state"],
                    worker=each["worker"],
                    folder=Path(each["run_dir"]) if each["run_dir"] else None,
                    error=each["error"] or each["remote"]["error"],
                    output=outputs.get(each["uuid"]),
                    exec_config=each["exec_config"],
                    resources=each["resources"],
                )
                for each in database["jobs"].find(sort={"_id": 1})
            ]

    def jf(self, *words: str) -> str:
        """Call the command line; what it says."""
        return self.children.run(["jf", *words], 30)

    def store(self) -> JobStore:
        """Where the results are."""
        return JobStore.from_dict_spec(self._results())
