"""Run flows on this machine, each job in a folder of its own that keeps its name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobStore, Response
from jobflow.core.flow import get_flow

from finetuna_flows.errors import FinetunaError

logger = logging.getLogger(__name__)

Ended = tuple[Job, Response[Any] | FinetunaError]


def run_in_folders(flow: Flow | Job | list[Job], store: JobStore, root: Path) -> Iterator[Ended]:
    """Run the jobs in order, each in ``root/<its name>``, so that a second run resumes the first.

    jobflow's ``run_locally`` makes a new folder for every try, which a ledger would not survive.

    Yields each job with its response, or with the error of this package that ended it: the jobs
    that can do without it still run. Other exceptions and Ctrl-C pass through.
    """
    store.connect()
    for job, _ in get_flow(flow).iterflow():  # type: ignore[no-untyped-call]  # jobflow is untyped
        folder = root / job.name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("%s in %s", job.name, folder)
        try:
            with chdir(folder):
                response = job.run(store=store)
        except FinetunaError as error:
            logger.warning("%s: %s", job.name, error)
            yield job, error
            continue
        yield job, response
        for more in (response.replace, response.detour, response.addition):
            if more is not None:
                yield from run_in_folders(more, store, root)
