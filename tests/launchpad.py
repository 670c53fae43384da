"""A FireWorks launchpad for tests, with two workers on this computer, `gpu` and `cpu`.

    with MongoServer() as server, LaunchSite(tmp_path, server.port) as site:
        site.add(flow)
        runs = site.launch({"gpu": ["rapidfire"], "cpu": ["rapidfire"]}, patience=50)

A worker pulls the jobs whose category is its name; `any` pulls all. Each is an `rlaunch` of its
own, as a user starts it; of these and of the jobs none is left at the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobflow import Flow, Job
from pymongo import MongoClient

from tests.children import Children, wait_until
from tests.fakes.mongo import LOOPBACK

NAME = "twins"
"""Of the database."""
LAUNCHPAD, SETTINGS, STORE = "my_launchpad.yaml", "FW_config.yaml", "jobflow.yaml"
CATEGORIES = {"cpu": "cpu", "gpu": "gpu", "any": ""}
"""Of the workers."""


@dataclass(frozen=True)
class Rocket:
    """What the launchpad tells of a job."""

    name: str
    uuid: str
    state: str
    worker: str | None
    """None before it is launched."""
    folder: Path | None
    """Where it was launched last."""
    spec: Mapping[str, Any]
    error: str | None
    output: Any
    """None where there is none."""


class LaunchSite:
    """A launchpad whose jobs, results and additional store `data` are in one database.

    Parameters
    ----------
    directory
        Of all its files; removed by whoever made it.
    port
        Of the database server.
    settings
        Of FireWorks, such as ``SORT_FWS``.
    """

    def __init__(
        self, directory: Path, port: int, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._directory = directory
        self._port = port
        place = {"host": LOOPBACK, "port": port, "database": NAME, "type": "MongoStore"}
        store = {
            "docs_store": {**place, "collection_name": "outputs"},
            "additional_stores": {"data": {**place, "collection_name": "data"}},
        }
        files = {  # JSON is YAML
            LAUNCHPAD: {"host": LOOPBACK, "port": port, "name": NAME, "strm_lvl": "ERROR"},
            SETTINGS: {"RAPIDFIRE_SLEEP_SECS": 1, **(settings or {})},
            STORE: {"JOB_STORE": store},
        }
        for name, category in CATEGORIES.items():
            files[f"{name}.yaml"] = {"name": name, "category": category, "query": "{}"}
        for file, content in files.items():
            (directory / file).write_text(json.dumps(content))
        self.children = Children(directory, {"JOBFLOW_CONFIG_FILE": str(directory / STORE)})

    def __enter__(self) -> Self:
        self.children.__enter__()
        self.lpad("reset", "--password", f"{date.today():%Y-%m-%d}")  # as it asks
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.children.__exit__(kind, problem, trace)

    def lpad(self, *words: str) -> str:
        """Call the command line; what it says."""
        return self.children.run(["lpad", "-l", LAUNCHPAD, *words], 30)

    def add(self, flow: Flow | Job) -> None:
        """Submit; results go to the store that jobflow is configured for."""
        from jobflow.managers.fireworks import flow_to_workflow  # needs an extra

        workflow = self._directory / f"{flow.uuid}.json"
        flow_to_workflow(flow).to_file(str(workflow))
        self.lpad("add", str(workflow))

    def launch(self, launches: Mapping[str, Sequence[str]], patience: float) -> list[Rocket]:
        """Call `rlaunch` with words for each worker, all at a time, and wait for them.

        Raises
        ------
        AssertionError
            If it takes longer than `patience` seconds.
        """
        started = [
            self.children.start(
                ["rlaunch", "-l", LAUNCHPAD, "-w", f"{worker}.yaml", *words], f"{worker}.out"
            )
            for worker, words in launches.items()
        ]
        wait_until(
            lambda: all(each.poll() is not None for each in started), patience, "the last rlaunch"
        )
        return self.rockets()

    def rockets(self) -> list[Rocket]:
        """All jobs in the order of their numbers, as they are now."""
        with MongoClient[dict[str, Any]](LOOPBACK, self._port) as client:
            database = client[NAME]
            outputs = {each["uuid"]: each["output"] for each in database["outputs"].find()}
            launches = {each["launch_id"]: each for each in database["launches"].find()}
            return [
                _rocket(each, launches[each["launches"][-1]] if each["launches"] else {}, outputs)
                for each in database["fireworks"].find(sort={"fw_id": 1})
            ]


def _rocket(
    firework: Mapping[str, Any], launch: Mapping[str, Any], outputs: Mapping[str, Any]
) -> Rocket:
    stored = (launch.get("action") or {}).get("stored_data", {})
    uuid = firework["spec"]["_tasks"][0]["job"]["uuid"]
    return Rocket(
        name=firework["name"],
        uuid=uuid,
        state=firework["state"],
        worker=launch["fworker"]["name"] if launch else None,
        folder=Path(launch["launch_dir"]) if launch else None,
        spec={key: value for key, value in firework["spec"].items() if key != "_tasks"},
        error=stored.get("_exception", {}).get("_stacktrace"),
        output=outputs.get(uuid),
    )
