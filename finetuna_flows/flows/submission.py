"""Submit flows with twins, and refuse what could never run at the same time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job

from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.flows.twins import apart, jobs_of, meeting_of

if TYPE_CHECKING:
    from jobflow_remote.config.base import WorkerBase


@dataclass(frozen=True)
class Slots:
    """How many jobs a worker has at once."""

    number: float
    """Infinity where nothing limits them."""
    picks_at_random: bool
    """Whether it chooses among the waiting jobs by chance, as jobflow-remote's batch workers."""


def submit_remote(
    flow: Flow | Job,
    worker: str | None = None,
    project: str | None = None,
    **options: Any,
) -> list[str]:
    """Submit to jobflow-remote, as its own ``submit_flow`` does, if twins can run at once.

    Parameters
    ----------
    flow
        Jobs say their workers in `ColocatedRelaxMaker.learner_config` and `parent_config`, or by
        ``set_run_config``.
    worker
        Of jobs that name none; None: the project's first.
    project
        None: the one that is configured.
    options
        Of ``submit_flow``.

    Raises
    ------
    ValueError
        If a worker is not in the project, or twins would wait for each other in vain.
    """
    from jobflow_remote import ConfigManager, submit_flow

    workers: Mapping[str, WorkerBase] = ConfigManager().get_project(project).workers
    slots = {name: _slots(each) for name, each in workers.items()}
    check_workers(flow, slots, worker or next(iter(slots)))
    with apart():
        submitted: list[str] = submit_flow(flow, worker=worker, project=project, **options)
    return submitted


def check_workers(flow: Flow | Job, slots: Mapping[str, Slots], default: str) -> None:
    """Refuse workers that are not there, or on which twins could never run at the same time.

    Parameters
    ----------
    flow
        Whatever else is submitted to the same workers is not looked at.
    slots
        Of each worker.
    default
        Worker of jobs that name none.

    Raises
    ------
    ValueError
        Naming the worker and the way out.
    """
    twins: Counter[str] = Counter()
    pairs: dict[str, list[str]] = {}
    for job in jobs_of(flow):
        name = job.config.manager_config.get("worker") or default
        if name not in slots:
            raise ValueError(
                f"{job.name} is for worker {name!r} but the project has {', '.join(slots)}"
            )
        meeting = meeting_of(job.maker)
        if meeting is None:
            continue
        if isinstance(meeting.rendezvous, StoreRendezvous):
            raise ValueError(
                f"{job.name} meets its twin in the job store, which jobs of jobflow-remote do not "
                "reach; take FileRendezvous, in a folder that both workers see"
            )
        twins[name] += 1
        pairs.setdefault(meeting.key, []).append(name)
    for names in pairs.values():
        for name, number in Counter(names).items():
            if slots[name].number < number:
                raise ValueError(
                    f"both twins are for worker {name!r}, which runs {slots[name].number:g} job at "
                    "once, so that the second would wait for the first to end; raise its max_jobs "
                    "(or parallel_jobs), or give each a worker of its own"
                )
    for name, number in twins.items():
        if slots[name].picks_at_random and slots[name].number < number:
            raise ValueError(
                f"{number} twins are for the batch worker {name!r}, which runs "
                f"{slots[name].number:g} jobs at once and picks them at random, so that halves of "
                "different pairs may wait for each other; submit fewer at once, raise its "
                "parallel_jobs, or take a worker without batch"
            )


def _slots(worker: WorkerBase) -> Slots:
    jobs = worker.max_jobs or math.inf
    if worker.batch is None:
        return Slots(jobs, picks_at_random=False)
    return Slots(jobs * (worker.batch.parallel_jobs or 1), picks_at_random=True)
