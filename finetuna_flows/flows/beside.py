"""A job in a process of its own beside this one: ``python -m finetuna_flows.flows.beside``."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, Self

from jobflow import Job, JobStore, Response
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.colocation.companion import Companion, module
from finetuna_flows.colocation.failure import check_failure, encode_failure
from finetuna_flows.errors import FinetunaError, PeerError
from finetuna_flows.processes.ending import ending

logger = logging.getLogger(__name__)

TASK = "beside.json"
"""The job and the store; only while it runs, since a store may name its password."""
OUTCOME = "outcome.json"
LOG = "job.log"
MODULE = "finetuna_flows.flows.beside"
END_PATIENCE = 60.0
"""Seconds for a job to end besides what it is given."""


class BesideJob:
    """A job that is running; a context manager that ends it.

    Parameters
    ----------
    job
        Needs nothing of other jobs.
    store
        For its output. One that other processes cannot see gets it at the end.
    folder
        Where it runs; made where it is missing.
    """

    def __init__(self, job: Job, store: JobStore, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OUTCOME).unlink(missing_ok=True)
        descriptor = os.open(folder / TASK, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps({"job": job, "store": store}, cls=MontyEncoder))
        self._job = job
        self._store = store
        self._folder = folder
        self._companion = Companion(
            module(MODULE),
            folder,
            log=LOG,
            environment={},
            pause="no",
            name=job.name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._companion.stop()
        (self._folder / TASK).unlink(missing_ok=True)

    def finish(self, patience: float) -> Response[Any] | Exception:
        """Wait for its end; what it returned, or what ended it."""
        code = self._companion.wait(patience + END_PATIENCE)
        outcome = self._folder / OUTCOME
        if code is None or not outcome.exists():
            ended = ending(code) if code is not None else "did not end"
            return PeerError(
                f"{self._job.name} {ended} and left in {self._folder / LOG}: "
                f"{self._companion.last_words()}"
            )
        said = json.loads(outcome.read_text())
        try:
            check_failure(said)
        except (FinetunaError, ValueError, TypeError) as error:
            return error
        document = said["document"]
        if self._store.query_one({"uuid": self._job.uuid}, ["uuid"]) is None:
            self._store.update(document, key=["uuid", "index"])
        return Response(output=MontyDecoder().process_decoded(document["output"]))


def main() -> None:
    """Run the job of the present folder and leave its document, or what ended it."""
    folder = Path.cwd()
    task = json.loads((folder / TASK).read_text(), cls=MontyDecoder)
    job: Job = task["job"]
    store: JobStore = task["store"]
    store.connect()
    outcome: dict[str, Any]
    try:
        job.run(store=store)
        outcome = {"document": store.query_one({"uuid": job.uuid})}
    except Exception as error:  # the boundary of the process: it is sent on whole
        logger.exception("%s", job.name)
        outcome = encode_failure(error)
    part = folder / f"{OUTCOME}.part"
    part.write_text(json.dumps(outcome, cls=MontyEncoder))
    part.rename(folder / OUTCOME)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    main()
