"""The ledger: what is on disk, when, and what a resumed run makes of it."""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from finetuna_flows.encoding import decode_step, encode_step
from finetuna_flows.errors import CheckpointError
from finetuna_flows.geometry import Array
from finetuna_flows.history import History
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Label, Prediction, Relaxation, Step
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME, Ledger, set_aside
from finetuna_flows.relaxation.limits import Limits
from tests.relaxation.parts import IDENTITY, METHODS, emt
from tests.systems import oxygen_on_copper

LAST_BITS = 1e-6
"""Å; EMT sums in another order where its neighbour list was made at another geometry."""

finite = st.floats(allow_nan=False, allow_infinity=False)


class Counting:
    """EMT that notes what it was asked, and may refuse from some call on."""

    def __init__(self, calls_before_failing: int | None = None) -> None:
        self._parent = emt()
        self._left = calls_before_failing
        self.asked: list[Array] = []

    level = "EMT"

    @property
    def elements(self) -> frozenset[str] | None:
        return self._parent.elements

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def label(self, atoms: Atoms) -> Label:
        if self._left is not None and len(self.asked) >= self._left:
            raise KeyboardInterrupt
        self.asked.append(atoms.positions.copy())
        return self._parent.label(atoms)


def relaxed(method: str, directory: Path, parent: ParentCalculator) -> Relaxation:
    return METHODS[method](oxygen_on_copper(), directory, parent=parent)


@given(
    values=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=4),
    energy=finite,
    scf_cycles=st.none() | st.integers(0, 10**6),
    reasons=st.sets(st.sampled_from(QueryReason)).map(tuple),
    certain=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_steps_survive_json_to_the_last_bit(
    values: list[tuple[float, float, float]],
    energy: float,
    scf_cycles: int | None,
    reasons: tuple[QueryReason, ...],
    certain: bool,
) -> None:
    forces = np.array(values)
    step = Step(
        index=3,
        positions=forces * 0.5,
        decision=Decision(reasons),
        prediction=Prediction(energy, forces, forces_std=None if certain else forces * 0 + 0.25),
        label=Label(energy, forces, free_energy=energy, scf_cycles=scf_cycles, wall_time=1.5),
        prediction_time=0.1,
        wall_time=2.0,
    )
    back = decode_step(json.loads(json.dumps(encode_step(step))))
    assert back.replayed
    assert back.decision == step.decision
    assert back.label is not None
    assert back.prediction is not None
    assert (back.label.energy, back.label.scf_cycles) == (energy, scf_cycles)
    np.testing.assert_array_equal(back.label.forces, forces)
    np.testing.assert_array_equal(back.positions, step.positions)
    assert (back.prediction.forces_std is None) is certain


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("calls", [1, 3, 6])
def test_an_interrupted_run_resumes_to_the_same_end(
    method: str, calls: int, tmp_path: Path
) -> None:
    whole = Counting()
    expected = relaxed(method, tmp_path / "whole", whole)
    first, second = Counting(calls), Counting()
    with pytest.raises(KeyboardInterrupt):
        relaxed(method, tmp_path / "parts", first)
    resumed = relaxed(method, tmp_path / "parts", second)
    np.testing.assert_allclose(first.asked + second.asked, whole.asked, atol=LAST_BITS)
    assert resumed.parent_calls == expected.parent_calls
    assert sum(step.replayed for step in resumed.labelled) == calls
    np.testing.assert_allclose(
        resumed.final.positions, expected.final.positions, rtol=0, atol=LAST_BITS
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_finished_run_asks_nothing_again(method: str, tmp_path: Path) -> None:
    expected = relaxed(method, tmp_path, Counting())
    again = Counting()
    resumed = relaxed(method, tmp_path, again)
    assert again.asked == []
    assert resumed.energy == expected.energy
    assert resumed.stop_reason is StopReason.CONVERGED


def test_larger_limits_continue_a_stopped_run(tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    stopped = METHODS["online"](atoms, tmp_path, limits=Limits(max_parent_calls=3))
    assert stopped.stop_reason is StopReason.MAX_PARENT_CALLS
    assert stopped.parent_calls == 3
    assert METHODS["online"](atoms, tmp_path).converged


def test_a_label_is_on_disk_before_anybody_learns_of_it(tmp_path: Path) -> None:
    on_disk = []

    def look(step: Step, past: History) -> None:
        lines = (tmp_path / LEDGER_NAME).read_text().splitlines()[1:]
        steps = [step for line in lines for step in json.loads(line)["body"]["steps"]]
        on_disk.append((past.parent_calls, sum(step["label"] is not None for step in steps)))

    METHODS["online"](oxygen_on_copper(), tmp_path, observers=(look,))
    assert on_disk
    assert all(written == known for known, written in on_disk)


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_torn_last_record_is_dropped_with_a_warning(
    cut: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = relaxed("direct", tmp_path, Counting())
    ledger = tmp_path / LEDGER_NAME
    ledger.write_bytes(ledger.read_bytes()[:-cut])
    parent = Counting()
    with caplog.at_level(logging.WARNING):
        resumed = relaxed("direct", tmp_path, parent)
    assert "the last record is damaged" in caplog.text
    assert len(parent.asked) == 1
    assert resumed.energy == pytest.approx(expected.energy, abs=1e-9)  # EMT's neighbour list


def test_a_damaged_record_in_the_middle_refuses(tmp_path: Path) -> None:
    relaxed("direct", tmp_path, Counting())
    ledger = tmp_path / LEDGER_NAME
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"1", b"2", 1)
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match=r"ledger\.jsonl:3: damaged record"):
        relaxed("direct", tmp_path, Counting())
    assert ledger.read_bytes() == b"".join(lines)


def test_another_spec_refuses_and_says_what_differs(tmp_path: Path) -> None:
    with Ledger(tmp_path, {"spec": {"fmax": 0.03, "parent": {"name": "EMT"}}}):
        pass
    other = Ledger(tmp_path, {"spec": {"fmax": 0.05, "parent": {"name": "EMT"}}})
    with pytest.raises(CheckpointError, match=r"`spec\.fmax` was 0\.03 and is 0\.05"), other:
        pass


def test_another_geometry_refuses(tmp_path: Path) -> None:
    relaxed("direct", tmp_path, Counting())
    moved = oxygen_on_copper()
    moved.positions[-1, 2] += 0.1
    with pytest.raises(CheckpointError, match=r"recorded step 0 0\.1 Å away"):
        METHODS["direct"](moved, tmp_path)


def test_a_ledger_of_another_version_refuses(tmp_path: Path) -> None:
    with Ledger(tmp_path, IDENTITY) as ledger:
        ledger._journal.append({"kind": "dance"})
    with (
        pytest.raises(CheckpointError, match=r"jsonl:2: not a record of this version"),
        Ledger(tmp_path, IDENTITY),
    ):
        pass


def _hold(directory: Path, held: str) -> None:
    try:
        with Ledger(directory, IDENTITY):
            Path(held).write_text("entered")
    except CheckpointError as error:
        Path(held).write_text(str(error))


def test_two_processes_cannot_share_a_directory(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Ledger(tmp_path, IDENTITY):
        other = multiprocessing.get_context("spawn").Process(
            target=_hold, args=(tmp_path, str(told))
        )
        other.start()
        other.join()
    assert "in use by another run" in told.read_text()


def test_a_ledger_without_its_first_line_is_refused(tmp_path: Path) -> None:
    relaxed("direct", tmp_path, Counting())
    ledger = tmp_path / LEDGER_NAME
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(CheckpointError, match=r"jsonl:1: not a record of this version"):
        relaxed("direct", tmp_path, Counting())


def test_a_warm_start_that_met_a_limit_resumes_to_the_same_end(tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    whole = METHODS["warm_start"](atoms, tmp_path / "whole")
    for limits in (Limits(max_wall_time=1e-9), Limits(max_steps=3)):
        stopped = METHODS["warm_start"](atoms, tmp_path / "parts", limits=limits)
        assert stopped.parent_calls == 0
    resumed = METHODS["warm_start"](atoms, tmp_path / "parts")
    assert resumed.parent_calls == whole.parent_calls
    assert resumed.energy == pytest.approx(whole.energy, abs=1e-9)


def test_setting_aside_keeps_the_old_ledger_and_refuses_a_live_one(tmp_path: Path) -> None:
    relaxed("direct", tmp_path, Counting())
    content = (tmp_path / LEDGER_NAME).read_bytes()
    set_aside(tmp_path)
    set_aside(tmp_path)
    assert (tmp_path / f"{LEDGER_NAME}.1").read_bytes() == content
    told = tmp_path / "told"
    with Ledger(tmp_path, IDENTITY):
        other = multiprocessing.get_context("spawn").Process(
            target=_set_aside, args=(tmp_path, str(told))
        )
        other.start()
        other.join()
    assert "in use by another run" in told.read_text()
    assert (tmp_path / LEDGER_NAME).exists()


def _set_aside(directory: Path, told: str) -> None:
    try:
        set_aside(directory)
    except CheckpointError as error:
        Path(told).write_text(str(error))


def test_a_full_disk_loses_one_label_and_lets_go_of_the_directory(tmp_path: Path) -> None:
    limit = 12_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        for _ in range(2):  # the second try finds the directory free
            with pytest.raises(CheckpointError, match="cannot be written"):
                relaxed("direct", tmp_path, Counting())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    resumed = relaxed("direct", tmp_path, Counting())
    assert resumed.converged
    assert sum(step.replayed for step in resumed.labelled) >= 3
