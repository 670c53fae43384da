"""Twins are submitted only to workers on which they can run at the same time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from jobflow import Flow

from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.colocated import ColocatedRelaxMaker
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.flows.submission import Slots, check_workers
from finetuna_flows.parents.specs import AseParentSpec
from tests.systems import EMT, oxygen_on_copper

PARENT = AseParentSpec(EMT)
PLAIN = Slots(math.inf, picks_at_random=False)
ONE = Slots(1, picks_at_random=False)
TWO = Slots(2, picks_at_random=False)
BATCH = Slots(2, picks_at_random=True)


def twins(**fields: Any) -> ColocatedRelaxMaker:
    return ColocatedRelaxMaker(relax_maker=OnlineRelaxMaker(parent=PARENT), **fields)


def pairs(number: int, learner: str, parent: str) -> Flow:
    maker = twins(learner_config={"worker": learner}, parent_config={"worker": parent})
    return Flow([maker.make(oxygen_on_copper()) for _ in range(number)])


@pytest.mark.parametrize(
    ("number", "learner", "parent"),
    [
        (3, "one", "other"),  # both take jobs in their order
        (3, "plain", "plain"),
        (3, "two", "two"),
        (1, "batch", "batch"),
        (2, "batch", "one"),
        (2, "batch", ""),
    ],
)
def test_workers_that_have_room_are_accepted(number: int, learner: str, parent: str) -> None:
    slots = {"plain": PLAIN, "one": ONE, "other": ONE, "two": TWO, "batch": BATCH}
    check_workers(pairs(number, learner, parent), slots, "plain")


def test_jobs_without_a_twin_need_no_room() -> None:
    jobs = [ParentRelaxMaker(parent=PARENT).make(oxygen_on_copper()) for _ in range(3)]
    check_workers(jobs[0], {"one": ONE}, "one")
    flow = Flow([*jobs])  # what was looked at alone can still be put into a flow
    check_workers(flow, {"one": Slots(1, picks_at_random=True)}, "one")


@pytest.mark.parametrize(
    ("number", "learner", "parent", "refusal"),
    [
        (1, "none", "one", "online relax is for worker 'none' but the project has one, batch"),
        (1, "one", "", "both twins are for worker 'one', which runs 1 job at once.*max_jobs"),
        (2, "batch", "batch", "4 twins are for the batch worker 'batch', which runs 2 jobs"),
        (3, "one", "batch", "3 twins are for the batch worker 'batch'.*halves of different pairs"),
    ],
)
def test_workers_on_which_twins_would_wait_in_vain_are_refused(
    number: int, learner: str, parent: str, refusal: str
) -> None:
    with pytest.raises(ValueError, match=refusal):
        check_workers(pairs(number, learner, parent), {"one": ONE, "batch": BATCH}, "one")


def test_twins_that_meet_in_the_store_are_refused_for_jobflow_remote() -> None:
    flow = twins(rendezvous=StoreRendezvous()).make(oxygen_on_copper())
    with pytest.raises(ValueError, match=r"meets its twin in the job store.*FileRendezvous"):
        check_workers(flow, {"plain": PLAIN}, "plain")
