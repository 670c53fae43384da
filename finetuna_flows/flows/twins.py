"""What every job does that has a twin, whichever of the two it is."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from jobflow import Flow, Job, Maker
from jobflow.core.flow import get_flow

from finetuna_flows.colocation.rendezvous import LEARNER_LEFT
from finetuna_flows.colocation.twins import Meeting

ONE_AFTER_THE_OTHER = "jobflow.managers.local"
"""Module of `run_locally`."""


def meeting_of(maker: object) -> Meeting | None:
    """How the job of a Maker meets its twin; None if it has none."""
    for place in (maker, getattr(maker, "parent", None)):
        meeting = getattr(place, "meeting", None)
        if isinstance(meeting, Meeting):
            return meeting
    return None


@contextmanager
def told_to_twin(maker: Maker, note: str = LEARNER_LEFT) -> Iterator[None]:
    """Tell the other twin, if there is one, what ended this job.

    Raises
    ------
    ValueError
        If the twin could only start when this job has ended.
    """
    meeting = meeting_of(maker)
    if meeting is None:
        yield
        return
    refuse_one_after_the_other(maker.name)
    meeting.remove(note)  # of an earlier try
    try:
        yield
    except BaseException as error:
        meeting.say_left(note, error)
        raise


def refuse_one_after_the_other(job: str) -> None:
    """Refuse to run a twin where the other can only start when this one has ended.

    Raises
    ------
    ValueError
        If jobflow's ``run_locally`` runs this job.
    """
    names = (frame.f_globals.get("__name__") for frame, _ in traceback.walk_stack(None))
    if ONE_AFTER_THE_OTHER in names:
        raise ValueError(
            f"{job} has a twin that must run at the same time, but jobflow's run_locally runs one "
            "job after the other; use finetuna_flows.flows.local.run_in_folders"
        )


@contextmanager
def apart() -> Iterator[None]:
    """Nothing orders twins, of which jobflow would warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some jobs are not connected", UserWarning)
        yield


def jobs_of(flow: Flow | Job | list[Job]) -> list[Job]:
    """All jobs, in an order in which they may run."""
    if isinstance(flow, Job):
        return [flow]  # a Flow made for it would keep it out of every other
    with apart():
        whole = get_flow(flow, allow_external_references=True)
        return [job for job, _ in whole.iterflow()]  # type: ignore[no-untyped-call]  # untyped
