"""A process that has imported everything and forks jobs on request: `nursery.py SOCKET`.

A job of ours takes three seconds to import what it needs, a fork of this one a few milliseconds.
Each request is one connection: a JSON object comes, the number of the process goes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from tests.fakes import colocated_relaxation as relaxation

LOOK = 0.02
"""Seconds between two looks for processes that have ended."""
REQUEST = 2**16
"""Bytes of a request at most."""


@dataclass(frozen=True)
class Request:
    """One job to run."""

    what: str
    """As `colocated_relaxation.run` takes it."""
    directory: str
    largest_file: int | None
    environment: Mapping[str, str]
    """Variables in addition to those of the nursery."""


def ask(address: str, request: Request) -> int:
    """Have a nursery start a job; the number of its process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(address)
        asking.sendall(json.dumps(asdict(request)).encode())
        asking.shutdown(socket.SHUT_WR)
        return int(asking.recv(REQUEST))


def serve(address: str) -> NoReturn:
    """Fork whatever is asked for, and bury it when it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen(16)
        while True:
            _bury()
            if not select.select([listening], (), (), LOOK)[0]:
                continue
            asked, _ = listening.accept()
            with asked:
                request = Request(**json.loads(_read(asked)))
                job = os.fork()
                if job == 0:
                    asked.close()
                    listening.close()
                    _become(request)
                asked.sendall(str(job).encode())


def _become(request: Request) -> NoReturn:
    """Be that job; never return to the nursery."""
    code = 1
    try:
        os.setsid()
        os.environ.update(request.environment)
        os.chdir(request.directory)
        output = os.open(f"{request.what}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = relaxation.run(request.what, Path(request.directory), request.largest_file)
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _bury() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _read(asked: socket.socket) -> bytes:
    parts = []
    while part := asked.recv(REQUEST):
        parts.append(part)
    return b"".join(parts)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    relaxation.write("same", folder)
    if relaxation.run("same", folder):  # imports the rest, and is what undisturbed runs are
        sys.exit((folder / "learner.json").read_text())
    serve(sys.argv[1])
