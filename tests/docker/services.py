"""What is required of the services: each rule returns its complaints, and none if it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from tests.docker.images import EXACT

Entry = Mapping[str, object]


def complaints(compose: Entry, folder: Path) -> list[str]:
    """All that is wrong with a compose file that lies in `folder`."""
    services = entry(compose, "services")
    found = [f"{name}: {each}" for name in services for each in _service(entry(services, name))]
    for name in services:
        found += [f"{name}: {each}" for each in _volumes(entry(services, name), compose, folder)]
        found += [f"{name}: {each}" for each in _references(entry(services, name), compose)]
    return found


def entry(of: Entry, key: str) -> Entry:
    """What a mapping holds under a key, if that is a mapping; else an empty one."""
    held = of.get(key)
    return cast("Entry", held) if isinstance(held, Mapping) else {}


def items(of: Entry, key: str) -> Sequence[object]:
    """What a mapping holds under a key, if that is a list; the keys of a mapping; else nothing."""
    held = of.get(key)
    return list(held) if isinstance(held, list | Mapping) else []


def _service(service: Entry) -> Iterator[str]:
    if not EXACT.fullmatch(str(service.get("image"))):
        yield "image is not pinned"
    if service.get("restart") != "unless-stopped":
        yield "is not started again"
    test = items(entry(service, "healthcheck"), "test")
    if not test or test[0] == "NONE" or not all(isinstance(word, str) for word in test):
        yield "no health check"
    for port in items(service, "ports"):
        if not str(port).startswith("127.0.0.1:"):
            yield f"{port} is published beyond 127.0.0.1"
    if "build" not in service and not re.match(r"[1-9]\d*:[1-9]", str(service.get("user", ""))):
        yield "the user may be root"  # a built image says its own
    if "user" in service and str(service["user"]).split(":")[0] in {"0", "root"}:
        yield "the user is root"
    if service.get("privileged") or "ALL" not in items(service, "cap_drop"):
        yield "has capabilities"
    for name, value in entry(service, "environment").items():
        if "PASSWORD" in name and not name.endswith("_FILE"):
            yield f"secret {name} is {value}"


def _volumes(service: Entry, compose: Entry, folder: Path) -> Iterator[str]:
    for volume in items(service, "volumes"):
        said = cast("Entry", volume)
        source = str(said["source"])
        if said["type"] == "volume" and source not in entry(compose, "volumes"):
            yield f"volume {source} is not declared"
        if said["type"] == "bind":
            if not said.get("read_only"):
                yield f"{source} may be written"
            default = re.sub(r"\$\{\w+:?-(.*)\}", r"\1", source)
            if not default.startswith("${") and not (folder / default).exists():
                yield f"{default} is not there"
    for part in ("context", "dockerfile"):
        path = entry(service, "build").get(part)
        root = folder if part == "context" else folder.parent
        if path is not None and not (root / str(path)).exists():
            yield f"{path} is not there"


def _references(service: Entry, compose: Entry) -> Iterator[str]:
    for kind in ("networks", "secrets"):
        for name in items(service, kind):
            if name not in entry(compose, kind):
                yield f"{kind} has no {name}"
    waits = entry(service, "depends_on")
    for name in waits:
        there = entry(entry(compose, "services"), name)
        if not there or entry(waits, name).get("condition") != "service_healthy":
            yield f"does not wait for the health of {name}"
