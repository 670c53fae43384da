"""Tuners one after the other round one surrogate."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.finetuning.specs import GradientSpec, ResidualGPSpec, StackSpec
from finetuna_flows.finetuning.stack import TunerStack
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner
from finetuna_flows.records import Frame
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.tuner import FineTunerContract, force_rmse
from tests.finetuning.emt_frames import emt_frames

GRADIENT = GradientSpec(learning_rate=3e-3, epochs=20)
STACK = StackSpec((GRADIENT, ResidualGPSpec()))


class TestGradientThenResidual(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        return STACK.build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


def test_the_second_learns_what_the_first_left_over() -> None:
    frames = emt_frames(3)
    errors = []
    for spec in (GRADIENT, STACK):
        surrogate = CompositeSurrogate(ToySurrogate())
        spec.build(surrogate).update(frames)
        errors.append(force_rmse(surrogate, frames))
    assert errors[1] < 0.1 * errors[0]


def test_the_report_spans_all_tuners() -> None:
    surrogate = CompositeSurrogate(ToySurrogate())
    frames = emt_frames(3)
    report = STACK.build(surrogate).update(frames)
    first, second = report.tuner.split("+")
    assert first == "gradient"
    assert second
    assert report.n_frames == 3
    assert report.epochs == 20
    assert report.force_rmse_before == force_rmse(CompositeSurrogate(ToySurrogate()), frames[-1:])


def test_spec_survives_json() -> None:
    assert json.loads(json.dumps(STACK, cls=MontyEncoder), cls=MontyDecoder) == STACK


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="`tuners` is empty but a stack needs at least 1"):
        StackSpec(())
    with pytest.raises(ValueError, match="got 0 tuners but a stack needs at least 1"):
        TunerStack([])


def test_gradient_descent_on_top_of_a_correction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a GradientSpec that is not the first.* put it first"):
        StackSpec((ResidualGPSpec(), GradientSpec()))
