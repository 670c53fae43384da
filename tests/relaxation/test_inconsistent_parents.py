"""A parent whose forces are not the gradient of its energies proves no minimum."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.tail import Tail
from finetuna_flows.results.build import build_relaxation_doc
from tests.relaxation.parts import METHODS, direct, online
from tests.systems import oxygen_on_copper

CALLS = 40


def engine(name: str) -> ParentCalculator:
    return AseParentSpec(f"tests.fakes.inconsistent_engines:{name}").build()


def relax(method: str, name: str, folder: Path, calls: int = CALLS) -> Relaxation:
    return METHODS[method](
        oxygen_on_copper(),
        folder,
        parent=engine(name),
        limits=Limits(max_steps=500, max_parent_calls=calls),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["hartree_per_bohr", "wrong_sign", "constant_energy", "drifting_energy"]
)
def test_it_is_never_called_converged(
    method: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        relaxation = relax(method, name, tmp_path)
    assert relaxation.stop_reason is StopReason.INCONSISTENT_FORCES
    assert relaxation.parent_calls < CALLS
    told = [record.message for record in caplog.records if "its forces say" in record.message]
    assert len(told) == 1


def test_the_document_says_it_with_numbers(tmp_path: Path) -> None:
    relaxation = relax("direct", "hartree_per_bohr", tmp_path)
    doc = build_relaxation_doc(relaxation, name="BFGS", spec={})
    assert not doc.converged
    assert doc.force_consistency is not None
    assert not doc.force_consistency.gradient
    assert "forces in Hartree/Bohr" in (doc.force_consistency.contradiction or "")
    assert doc.stop_sentence.startswith("the parent's forces are not the gradient")


@pytest.mark.parametrize("method", METHODS)
def test_an_honest_parent_is_left_alone(
    method: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        relaxation = relax(method, "honest", tmp_path)
    assert relaxation.converged
    assert not caplog.records
    found = build_relaxation_doc(relaxation, name=method, spec={}).force_consistency
    assert found is not None
    assert (found.gradient, found.contradicting, found.noise) == (True, 0, None)


def test_a_tail_is_watched_too(tmp_path: Path) -> None:
    """EMT whose energies drift: the tail would follow its forces to the end."""
    relaxation = online(
        oxygen_on_copper(),
        tmp_path,
        parent=engine("drifting_energy"),
        limits=Limits(max_parent_calls=CALLS),
        tail=Tail(below=5.0),
    )
    assert relaxation.stop_reason is StopReason.INCONSISTENT_FORCES


def test_a_resumed_run_finds_it_again(tmp_path: Path) -> None:
    """The labels before the interruption count."""
    first = relax("direct", "wrong_sign", tmp_path, calls=3)
    assert first.stop_reason is StopReason.MAX_PARENT_CALLS
    resumed = relax("direct", "wrong_sign", tmp_path)
    assert resumed.stop_reason is StopReason.INCONSISTENT_FORCES
    assert sum(step.replayed for step in resumed.labelled) == 3
    assert resumed.parent_calls == relax("direct", "wrong_sign", tmp_path / "anew").parent_calls


def test_another_state_at_the_end_is_told_from_wrong_forces_by_one_more_label(
    tmp_path: Path,
) -> None:
    calls = relax("direct", "honest", tmp_path / "honest").parent_calls
    target = "tests.fakes.inconsistent_engines:another_state"

    def again() -> Relaxation:
        parent = AseParentSpec(target, {"first": calls - 1}).build()
        limits = Limits(max_parent_calls=CALLS)
        return direct(oxygen_on_copper(), tmp_path / "state", parent=parent, limits=limits)

    relaxation = again()
    assert relaxation.converged
    assert relaxation.parent_calls == calls + 1
    asked, beside = relaxation.labelled[-2:]
    assert beside.decision.reasons == (QueryReason.CONSISTENCY,)
    assert relaxation.endpoint is asked
    found = build_relaxation_doc(relaxation, name="BFGS", spec={}).force_consistency
    assert found is not None
    assert "labels 27 and 28" in (found.contradiction or "")
    resumed = again()
    assert resumed.converged
    assert all(step.replayed for step in resumed.labelled)
    assert resumed.ended_at == relaxation.ended_at


def test_where_no_label_is_left_to_ask_a_contradicted_end_is_no_minimum(tmp_path: Path) -> None:
    calls = relax("direct", "honest", tmp_path / "honest").parent_calls
    parent = AseParentSpec(
        "tests.fakes.inconsistent_engines:another_state", {"first": calls - 1}
    ).build()
    limits = Limits(max_parent_calls=calls)
    relaxation = direct(oxygen_on_copper(), tmp_path / "state", parent=parent, limits=limits)
    assert relaxation.stop_reason is StopReason.INCONSISTENT_FORCES
    assert relaxation.parent_calls == calls


def test_noisy_forces_are_told_as_noisy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        relaxation = direct(
            oxygen_on_copper(), tmp_path, parent=engine("noisy"), limits=Limits(max_parent_calls=15)
        )
    assert relaxation.stop_reason is StopReason.MAX_PARENT_CALLS
    noisy = [record.message for record in caplog.records if "above the threshold" in record.message]
    assert len(noisy) == 1
    doc = build_relaxation_doc(relaxation, name="BFGS", spec={})
    assert doc.force_consistency is not None
    assert "an error of about 0.1" in (doc.force_consistency.noise or "")


def test_one_wrong_label_is_told_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        relaxation = relax("direct", "one_wrong_label", tmp_path)
    assert relaxation.converged
    assert any("labels 3 and 4" in record.message for record in caplog.records)
