"""What one half refuses or lacks: the other ends within seconds, and says why and who it was."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.colocation.halves import Halves
from tests.colocation.moments import LABELLING, begin, hold, invited
from tests.colocation.nurseries import Nursery, until
from tests.fakes import colocated_relaxation as relaxation
from tests.fakes.colocated_parts import engine, phases
from tests.systems import oxygen_on_copper

SOON = 12.0
"""Seconds in which a half must have ended whose twin said that it has; two, and a guard's five, on
an idle machine."""
HALVES = ("learner", "parent")
FULL = {"learner": 70_000, "parent": 6_000}
"""Bytes after which the disk is full: more than two labels take, less than all."""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture
def halves(nursery: Nursery, tmp_path: Path) -> Iterator[Halves]:
    made = Halves(nursery, tmp_path)
    relaxation.write("twins", tmp_path)
    yield made
    made.end()


def twins(halves: Halves, **patience: float) -> None:
    relaxation.write("twins", halves.directory, replace(relaxation.PATIENCE, **patience))


def bad_structure(halves: Halves) -> None:
    atoms = oxygen_on_copper()
    atoms.positions[1] = atoms.positions[0]
    relaxation.write("twins", halves.directory, atoms=atoms)


def bad_parent(halves: Halves) -> None:
    (halves.notes.folder / engine.BAD).touch()


def check_resumes(halves: Halves) -> None:
    (halves.notes.folder / engine.BAD).unlink(missing_ok=True)
    halves.check_nothing_twice()
    halves.check_clean()
    begin(halves, "twins")
    halves.wait(*HALVES)
    halves.check_end()


@pytest.mark.slow
@pytest.mark.parametrize("who", HALVES)
def test_a_full_disk_ends_both_and_loses_one_label_at_most(who: str, halves: Halves) -> None:
    for other in HALVES:
        halves.start(other, FULL[who] if other == who else None)
    halves.wait(*HALVES)
    said = halves.words("learner")
    assert said.startswith("CheckpointError")
    assert "cannot be written" in said
    assert ("ledger.jsonl" if who == "learner" else "labels.jsonl") in said
    assert "cannot be written" in halves.words("parent")
    assert f"learner twin of {halves.key}" in halves.words("parent")
    assert len(halves.kept("ledger.jsonl")) >= 2
    check_resumes(halves)
    calls = halves.outcome("learner")["parent_calls"]
    assert len(halves.notes.noted(phases.BEGUN)) == calls + (who == "parent")


@pytest.mark.slow
@pytest.mark.parametrize("alone", HALVES)
def test_a_twin_that_never_comes_is_named(alone: str, halves: Halves) -> None:
    twins(halves, meet=2.0)
    halves.start(alone)
    took = halves.wait(alone, patience=2.0 + SOON)
    assert took > 1.9
    other = "parent" if alone == "learner" else "learner"
    assert f"{other} twin of {halves.key}" in halves.words(alone)


@pytest.mark.slow
def test_a_parent_that_fails_at_once_ends_the_waiting_learner(halves: Halves) -> None:
    bad_parent(halves)
    halves.start("learner")
    until(lambda: invited(halves, "twins"), SOON, "the invitation")
    halves.start("parent")
    halves.wait(*HALVES, patience=SOON)
    assert halves.words("parent") == "ValueError: the engine is not installed here"
    assert "the engine is not installed here" in (said := halves.words("learner"))
    assert f"parent twin of {halves.key}" in said
    check_resumes(halves)


@pytest.mark.slow
def test_a_parent_that_fails_before_the_learner_is_loaded_ends_it_too(halves: Halves) -> None:
    bad_parent(halves)
    halves.notes.shut(phases.LEARNER_STARTS)
    halves.start("learner")
    halves.reach(phases.LEARNER_STARTS)
    halves.start("parent")
    halves.wait("parent", patience=SOON)
    halves.notes.open()
    halves.wait("learner", patience=SOON)
    assert "the engine is not installed here" in halves.words("learner")
    check_resumes(halves)


@pytest.mark.slow
def test_a_learner_that_fails_before_it_invites_ends_the_waiting_parent(halves: Halves) -> None:
    bad_structure(halves)
    halves.start("parent")
    halves.reach(phases.PARENT_BUILT)
    halves.start("learner")
    halves.wait(*HALVES, patience=SOON)
    assert halves.words("learner").startswith("StructureError")
    said = halves.words("parent")
    assert f"learner twin of {halves.key} has ended: StructureError" in said


@pytest.mark.slow
def test_a_learner_that_fails_before_the_parent_looks_ends_it_too(halves: Halves) -> None:
    bad_structure(halves)
    halves.start("twins")  # the parent's job is still importing when the learner fails
    halves.wait("twins", patience=2 * SOON)
    assert halves.words("learner").startswith("StructureError")
    said = halves.words("parent")
    assert f"learner twin of {halves.key} has ended: StructureError" in said


@pytest.mark.slow
def test_a_silent_stranger_at_a_stale_address_is_left_for_the_next_invitation(
    halves: Halves,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        plant(halves, f"tcp:127.0.0.1:{stranger.getsockname()[1]}")
        halves.start("parent")
        connected, _ = stranger.accept()
        with connected:
            halves.start("learner")
            halves.wait(*HALVES, patience=40.0)
    halves.check_end()


@pytest.mark.slow
def test_a_second_run_in_the_directory_does_not_harm_the_first(halves: Halves) -> None:
    relaxation.write("own", halves.directory)
    hold(halves, "own", "learner", LABELLING)
    first = halves.jobs["own"]
    halves.start("own")
    halves.wait("own", patience=2 * SOON)
    assert "in use by another" in halves.words("learner")
    halves.jobs["own"] = first
    halves.notes.open()
    halves.wait("own")
    halves.check_end()
    assert len(halves.notes.noted(phases.BEGUN)) == halves.outcome("learner")["parent_calls"]


@pytest.mark.slow
def test_a_rendezvous_that_is_gone_does_not_hide_why_a_half_ended(halves: Halves) -> None:
    bad_structure(halves)
    (halves.directory / relaxation.NOTICES).write_text("no folder")
    halves.start("learner")
    halves.wait("learner", patience=SOON)
    assert halves.words("learner").startswith("StructureError")


def plant(halves: Halves, *addresses: str) -> None:
    """Leave an invitation as a learner does that was killed."""
    notices = halves.directory / relaxation.NOTICES
    notices.mkdir(exist_ok=True)
    said = {"addresses": addresses, "token": "0" * 64, "host": "gone", "withdrawn": ""}
    (notices / f"{halves.key}.invitation").write_text(json.dumps(said))
    time.sleep(0.01)
