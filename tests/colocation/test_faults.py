"""Either half is killed, stopped or frozen at every phase: the other ends, and nothing is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.colocation.halves import Halves
from tests.colocation.moments import (
    CLOSING,
    LABELLING,
    MET,
    MOMENTS,
    TUNING,
    WAITING,
    begin,
    hold,
)
from tests.colocation.nurseries import Nursery, until
from tests.fakes import colocated_relaxation as relaxation
from tests.fakes.colocated_parts import phases

HALVES = ("learner", "parent")
OTHER = {"learner": "parent", "parent": "learner"}
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
SOON = 10.0
"""Seconds in which a half must have ended that knows of the other's end; two, on an idle machine,
and as long as a guard gives programs where it must end one."""
QUICK = {
    ("own", "learner", LABELLING, signal.SIGKILL),
    ("own", "parent", LABELLING, signal.SIGKILL),
    ("own", "parent", TUNING, signal.SIGTERM),
    ("own", "parent", CLOSING, signal.SIGKILL),
}
"""Cases that the ordinary suite has; they take less than three seconds."""
CASES = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
    for what in ("own", "twins")
    for who in HALVES
    for moment in MOMENTS
    for number in SIGNALS
    if (case := (what, who, moment, number))[:3] != ("own", "parent", WAITING)  # it never waits
]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture
def halves(nursery: Nursery, tmp_path: Path) -> Iterator[Halves]:
    made = Halves(nursery, tmp_path)
    yield made
    made.end()


def twins(halves: Halves, **patience: float) -> None:
    relaxation.write("twins", halves.directory, replace(relaxation.PATIENCE, **patience))


def check_resumes(halves: Halves, what: str) -> None:
    """Both halves are started again and come to the undisturbed end."""
    halves.notes.open()
    halves.check_nothing_twice()
    halves.check_clean()
    begin(halves, what)
    halves.wait(*halves.jobs)
    halves.check_end()


@pytest.mark.slow
@pytest.mark.parametrize(("what", "who", "moment", "number"), CASES)
def test_a_half_is_ended(
    what: str, who: str, moment: str, number: signal.Signals, halves: Halves
) -> None:
    relaxation.write(what, halves.directory)
    hold(halves, what, who, moment)
    victim = halves.service("own") if (what, who) == ("own", "parent") else halves.pid(what, who)
    halves.kill(victim, number)
    if what == "twins":
        check_the_twin_is_lost(who, moment, number, halves)
    elif who == "learner":
        halves.check_clean()
        check_resumes(halves, what)
    else:
        halves.notes.open()
        halves.wait("own")
        if moment in (LABELLING, TUNING):  # it is started again
            halves.check_end()
            return
        assert "parent's process" in halves.words("learner")
        check_resumes(halves, what)


def check_the_twin_is_lost(who: str, moment: str, number: signal.Signals, halves: Halves) -> None:
    until(lambda: not halves.is_running(who), SOON, "the end of the victim")
    if moment not in MET and number == signal.SIGTERM:  # it had time to say so
        halves.notes.open()
        halves.wait(OTHER[who], patience=SOON)
        assert "was terminated" in halves.words(OTHER[who])
        check_resumes(halves, "twins")
        return
    if moment not in MET:  # the other has not noticed, and meets the next try
        other = halves.jobs[OTHER[who]]
        until(lambda: who == "learner" or halves.left() == {other}, SOON, "the end of its process")
        halves.notes.open()
        assert halves.is_running(OTHER[who])
        halves.start(who)
        halves.wait(*HALVES)
        halves.check_end()
        return
    time.sleep(0.3)  # the loss is known by the time that the label is there
    halves.notes.open()
    halves.wait(OTHER[who], patience=SOON)
    if who == "parent":
        key = halves.key
        assert f"parent twin of {key}" in halves.words("learner")
    elif moment != CLOSING:  # what was asked for was done by then
        assert "learner" in halves.words("parent")
    check_resumes(halves, "twins")


@pytest.mark.slow
def test_a_frozen_learner_is_given_up(halves: Halves) -> None:
    twins(halves, idle=3.0)
    hold(halves, "twins", "learner", TUNING)
    halves.kill(halves.jobs["learner"], signal.SIGSTOP)
    took = halves.wait("parent", patience=3.0 + SOON)
    assert took > 1.5
    assert "the learner" in (said := halves.words("parent"))
    assert "silent for 3 s" in said
    halves.notes.open()
    halves.kill(halves.jobs["learner"], signal.SIGCONT)
    halves.wait("learner", patience=SOON)
    assert halves.key in halves.words("learner")
    check_resumes(halves, "twins")


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["its job", "its process"])
def test_a_frozen_parent_is_given_up(whole: bool, halves: Halves) -> None:
    twins(halves, label=3.0, grace=1.0, close=2.0)
    hold(halves, "twins", "learner", LABELLING)
    frozen = [halves.service("parent")]
    if whole:
        frozen = sorted(halves.family("parent"))
    for pid in frozen:
        halves.kill(pid, signal.SIGSTOP)
    halves.wait("learner", patience=3.0 + SOON)
    assert f"parent twin of {halves.key}" in (said := halves.words("learner"))
    assert "silent for 3 s" in said
    halves.notes.open()
    if whole:
        for pid in frozen:
            halves.kill(pid, signal.SIGCONT)
    halves.wait("parent", patience=2 * SOON)
    assert "learner" in halves.words("parent")
    check_resumes(halves, "twins")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["own", "twins"])
@pytest.mark.parametrize("who", HALVES)
@pytest.mark.parametrize("moment", [LABELLING, TUNING])
def test_a_half_that_is_frozen_for_a_while_goes_on(
    what: str, who: str, moment: str, halves: Halves
) -> None:
    relaxation.write(what, halves.directory)
    hold(halves, what, who, moment)
    pids = halves.family(halves.job(what, who)) if who == "parent" else {halves.pid(what, who)}
    for pid in pids:
        halves.kill(pid, signal.SIGSTOP)
    halves.notes.open()
    time.sleep(1.0)
    for pid in pids:
        halves.kill(pid, signal.SIGCONT)
    halves.wait(*halves.jobs)
    halves.check_end()


@pytest.mark.slow
def test_a_label_under_way_is_finished_within_the_grace_and_found_again(halves: Halves) -> None:
    twins(halves, grace=20.0)
    hold(halves, "twins", "learner", LABELLING)
    halves.kill(halves.jobs["learner"])
    time.sleep(2.0)
    assert halves.is_running("parent")
    halves.notes.open()
    halves.wait("parent", patience=SOON)
    begun = len(halves.notes.noted(phases.BEGUN))
    assert len(halves.notes.noted(phases.FINISHED)) == begun
    assert len(halves.kept("labels.jsonl")) == begun == len(halves.kept("ledger.jsonl")) + 1
    check_resumes(halves, "twins")
    assert halves.outcome("parent")["recalled_calls"] == 1
    assert len(halves.notes.noted(phases.BEGUN)) == halves.outcome("learner")["parent_calls"]


@pytest.mark.slow
def test_a_label_that_takes_longer_than_the_grace_is_given_up(halves: Halves) -> None:
    twins(halves, grace=1.0)
    hold(halves, "twins", "learner", LABELLING)
    halves.kill(halves.jobs["learner"])
    halves.wait("parent", patience=1.0 + SOON)
    assert "longer than the 1 s" in (said := halves.words("parent"))
    assert "learner" in said
    check_resumes(halves, "twins")
