"""The services, as far as they can be checked where no engine runs."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.services import complaints

FOLDER = Path(__file__).parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
Spoil = Callable[[dict[str, Any]], object]
SERVICES = ("mongo", "learner", "parent")


def spoilt(spoil: Spoil) -> dict[str, Any]:
    compose = copy.deepcopy(COMPOSE)
    spoil(compose["services"])
    return compose


BAD: list[tuple[Spoil, str]] = [
    (lambda s: s["mongo"].update(image="mongo:latest"), "mongo: image is not pinned"),
    (lambda s: s["mongo"].update(ports=["27017:27017"]), "published beyond 127.0.0.1"),
    (lambda s: s["mongo"].pop("user"), "mongo: the user may be root"),
    (lambda s: s["mongo"].update(user="0:0"), "mongo: the user may be root"),
    (lambda s: s["learner"].update(user="root"), "learner: the user is root"),
    (lambda s: s["parent"].update(privileged=True), "parent: has capabilities"),
    (lambda s: s["parent"].pop("cap_drop"), "parent: has capabilities"),
    (lambda s: s["parent"].pop("restart"), "parent: is not started again"),
    (lambda s: s["learner"].pop("healthcheck"), "learner: no health check"),
    (lambda s: s["mongo"]["healthcheck"].update(test=["CMD", {"a": 1}]), "mongo: no health check"),
    (lambda s: s["mongo"]["environment"].update(PASSWORD="a"), "secret PASSWORD"),
    (lambda s: s["parent"]["volumes"][2].update(source="../nowhere"), "../nowhere is not there"),
    (lambda s: s["parent"]["volumes"][3].pop("read_only"), "may be written"),
    (lambda s: s["parent"]["volumes"][0].update(source="walks"), "volume walks is not declared"),
    (lambda s: s["parent"]["build"].update(dockerfile="docker/no"), "docker/no is not there"),
    (lambda s: s["parent"].update(networks=["outside"]), "networks has no outside"),
    (lambda s: s["mongo"].update(secrets=["key"]), "secrets has no key"),
    (lambda s: s["parent"].update(depends_on={"mongo": {}}), "wait for the health of mongo"),
    (lambda s: s["parent"].update(depends_on={"redis": {}}), "wait for the health of redis"),
]


def test_nothing_is_wrong_with_the_services() -> None:
    assert tuple(COMPOSE["services"]) == SERVICES
    assert complaints(COMPOSE, FOLDER) == []


@pytest.mark.parametrize(("spoil", "complaint"), BAD, ids=[each[1] for each in BAD])
def test_what_is_wrong_is_seen(spoil: Spoil, complaint: str) -> None:
    assert complaint in " ".join(complaints(spoilt(spoil), FOLDER))


def test_the_workers_share_runs_and_the_place_where_they_meet() -> None:
    for name in ("learner", "parent"):
        worker = COMPOSE["services"][name]
        targets = {volume["target"] for volume in worker["volumes"]}
        assert {"/runs", "/rendezvous", "/config"} <= targets
        assert worker["environment"]["FINETUNA_FLOWS_RENDEZVOUS_PATH"] in targets
        assert worker["networks"] == ["inside"], "eth0 is the only interface"
        assert list(worker["depends_on"]) == ["mongo"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_the_learner_alone_has_the_gpu() -> None:
    services = COMPOSE["services"]
    devices = services["learner"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert not any("deploy" in services[name] for name in ("mongo", "parent"))


@pytest.mark.parametrize(("name", "kind"), [("learner", "gpu"), ("parent", "cpu")])
def test_a_worker_reads_files_that_exist(name: str, kind: str) -> None:
    command = COMPOSE["services"][name]["command"]
    assert command[0] == "rlaunch"
    files = [Path(word).name for word in command if word.startswith("/config/")]
    assert files == [f"my_fworker_{kind}.yaml", "my_launchpad.yaml"]
    config = FOLDER.parent / "workflows" / "config"
    assert [file for file in (*files, "jobflow.yaml") if not (config / file).is_file()] == []


def test_the_password_stays_out_of_git() -> None:
    secret = COMPOSE["secrets"]["mongo_password"]["file"]
    kept_out = (FOLDER / ".gitignore").read_text().splitlines()
    assert f"/{Path(secret).parent}/" in kept_out
    assert {"/config/", ".env"} <= set(kept_out)


def plugin() -> bool:
    docker = shutil.which("docker")
    return (
        bool(docker)
        and not subprocess.run(
            [str(docker), "compose", "version"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.skipif(not plugin(), reason="there is no `docker compose`")
def test_compose_reads_the_services() -> None:
    folders = {"VASP_FOLDER": "/opt", "POTCAR_FOLDER": "/opt"}
    command = ["docker", "compose", "--file", str(FOLDER / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(
        command, env=os.environ | folders, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
