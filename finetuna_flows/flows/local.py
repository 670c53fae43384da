"""Run flows on this machine, each job in a folder of its own that keeps its name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any

from jobflow import Flow, Job, JobStore, Response
from jobflow.core.flow import get_flow
from maggma.stores import MemoryStore

from finetuna_flows.colocation.own_process import FOLDER as PARENT
from finetuna_flows.errors import FinetunaError
from finetuna_flows.finetuning.recipe import CHECKPOINT
from finetuna_flows.flows.beside import BesideJob
from finetuna_flows.flows.colocated import ServeMaker
from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.flows.twins import jobs_of, meeting_of
from finetuna_flows.journal import rename_aside
from finetuna_flows.parents.vasp.run import FOLDERS
from finetuna_flows.relaxation.checkpoint import set_aside
from finetuna_flows.results.completeness import remove_incomplete
from finetuna_flows.results.documents import RelaxationDoc

logger = logging.getLogger(__name__)

VASP_INPUT = "INCAR"
"""Lies in the folder itself where VASP relaxes, not in one of its labels."""

Ended = tuple[Job, Response[Any] | Exception]


def run_in_folders(
    flow: Flow | Job | list[Job], store: JobStore, root: Path, *, fresh: bool = False
) -> Iterator[Ended]:
    """Run the jobs in order, each in ``root/<its name>``, so that a second run resumes the first.

    jobflow's ``run_locally`` makes a new folder for every try, which a ledger would not survive.
    Twins run side by side: the one that serves the parent in a process of its own.

    Yields each job with its response, or with the exception that ended it: the jobs that can do
    without it still run. Ctrl-C passes through. With `fresh`, an earlier ledger, checkpoint of a
    training or relaxation of VASP's own is set aside instead of resumed. A folder in which a job
    left nothing goes.
    """
    store.connect()
    jobs = jobs_of(flow)
    servers = {each.maker.meeting: each for each in jobs if isinstance(each.maker, ServeMaker)}
    for job in jobs:
        if isinstance(job.maker, ServeMaker):
            continue
        meeting = meeting_of(job.maker)
        server = None if meeting is None else servers.pop(meeting, None)
        if server is None:
            yield from _run(job, store, root, fresh=fresh)
            continue
        _refuse_unshared(server, store)
        folder = _folder(server, root)
        if fresh:
            _set_earlier_aside(folder)
        with BesideJob(server, store, folder) as beside:
            yield from _run(job, store, root, fresh=fresh)
            yield server, beside.finish(_patience(server))
    for alone in servers.values():
        yield from _run(alone, store, root, fresh=fresh)


def _run(job: Job, store: JobStore, root: Path, *, fresh: bool) -> Iterator[Ended]:
    """Run one job and what it asks for."""
    folder = _folder(job, root)
    logger.info("%s in %s", job.name, folder)
    try:
        with _made(folder):
            if fresh:
                _set_earlier_aside(folder)
            with chdir(folder):
                response = job.run(store=store)
    except Exception as error:  # the boundary between jobs, as in jobflow's run_locally
        logger.error("%s: %s", job.name, error, exc_info=not _is_refusal(error))
        yield job, error
        return
    if isinstance(response.output, RelaxationDoc):
        for uuid in remove_incomplete(store, response.output):
            logger.info("%s is removed from the store: it was left incomplete", uuid)
    yield job, response
    for more in (response.replace, response.detour, response.addition):
        if more is not None:
            yield from run_in_folders(get_flow(more), store, root, fresh=fresh)  # type: ignore[arg-type]


def _patience(server: Job) -> float:
    """Seconds in which a server has to end when its learner has."""
    meeting = meeting_of(server.maker)
    return 0.0 if meeting is None else meeting.patience.grace + meeting.patience.close


def _refuse_unshared(server: Job, store: JobStore) -> None:
    """Refuse to let twins meet in a store that is in the memory of one process."""
    meeting = meeting_of(server.maker)
    in_store = meeting is not None and isinstance(meeting.rendezvous, StoreRendezvous)
    if in_store and isinstance(store.docs_store, MemoryStore):
        raise ValueError(
            f"{server.name} meets its twin in {store.docs_store.name}, which is in the memory of "
            "this process alone; take FileRendezvous, or a store that both processes see"
        )


def _folder(job: Job, root: Path) -> Path:
    return root / job.name.replace(" ", "_")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; of these, leave none that is empty in the end."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # the first that holds something ends it
            for each in missing:
                each.rmdir()


def _set_earlier_aside(folder: Path) -> None:
    """A ledger, a training's checkpoint, VASP's labels; whole, what VASP relaxed by itself."""
    set_aside(folder)
    for name in (CHECKPOINT, FOLDERS, PARENT):
        if (folder / name).exists():
            rename_aside(folder / name)
    if (folder / VASP_INPUT).exists() or (folder / f"{VASP_INPUT}.gz").exists():
        rename_aside(folder)
        folder.mkdir()


def _is_refusal(error: Exception) -> bool:
    """Whether the message says all: what this package raises tells, what is below it may not."""
    if not isinstance(error, ValueError | TypeError):
        return isinstance(error, FinetunaError)
    *_, (frame, _) = walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("finetuna_flows.")
