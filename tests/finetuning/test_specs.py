"""What tuners' specs and the recipe of an adaptation refuse, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from finetuna_flows.finetuning.recipe import AdaptRecipe
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    LastLayerSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import EnsembleSpec, ToySpec


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (ResidualGPSpec, "pair_functions"),
        (GradientSpec, "epochs"),
        (GradientSpec, "patience"),
        (GradientSpec, "window"),
        (LastLayerSpec, "window"),
        (AdaptRecipe, "epochs"),
        (AdaptRecipe, "patience"),
        (AdaptRecipe, "batch"),
        (AdaptRecipe, "seed"),
    ],
)
@pytest.mark.parametrize("value", [4.0, "4", True])
def test_what_counts_must_be_an_integer(
    make: Callable[..., object], field: str, value: object
) -> None:
    with pytest.raises(TypeError, match=rf"`{field}` is {value!r} but must be an integer"):
        make(**{field: value})


def test_none_is_no_integer_but_a_window_of_all_labels() -> None:
    with pytest.raises(TypeError, match="`epochs` is None but must be an integer"):
        GradientSpec(epochs=None)  # type: ignore[arg-type]  # what is refused
    assert GradientSpec(window=None).window is None
    assert LastLayerSpec(window=None).window is None


@pytest.mark.parametrize(
    ("make", "field"),
    [(GradientSpec, "head"), (AdaptRecipe, "train"), (AdaptRecipe, "frozen")],
)
def test_patterns_must_not_be_a_string(make: Callable[..., object], field: str) -> None:
    with pytest.raises(TypeError, match=rf"`{field}` is the string 'mlp\.\*'.*\('mlp\.\*',\)"):
        make(**{field: "mlp.*"})
    with pytest.raises(TypeError, match=rf"`{field}` is \[1\] but must be a sequence of patterns"):
        make(**{field: [1]})


def test_the_heads_of_an_ensemble_must_not_be_strings() -> None:
    with pytest.raises(TypeError, match="`head` is the string"):
        EnsembleTunerSpec.of_heads(GradientSpec(), ["a.*", "b.*"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pair_cutoff": 0.7}, r"`pair_cutoff` is 0\.7 Å but must be at least 1\.2.*start at 0\.7"),
        (
            {"pair_weight_bounds": None, "length_bounds": (0.5, 2.0)},
            "`pair_weight_bounds` is None but `length_bounds` is set.*leave",
        ),
    ],
)
def test_a_process_that_cannot_work_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ResidualGPSpec(**fields)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ResidualGPSpec(), True),
        (LastLayerSpec(), True),
        (EnsembleTunerSpec(), True),
        (GradientSpec(), False),
        (CurvatureSpec(), False),
        (StackSpec((GradientSpec(), CurvatureSpec())), False),
        (StackSpec((GradientSpec(), ResidualGPSpec())), True),
        (StackSpec((StackSpec((CurvatureSpec(),)),)), False),
    ],
)
def test_specs_say_whether_they_give_uncertainty(spec: Any, expected: bool) -> None:
    assert spec.gives_uncertainty is expected
    assert "gives_uncertainty" not in spec.as_dict()


@pytest.mark.parametrize("spec", [GradientSpec(), LastLayerSpec()])
def test_an_ensemble_is_refused_with_the_way_out(spec: GradientSpec | LastLayerSpec) -> None:
    surrogate = CompositeSurrogate(EnsembleSpec.of_heads(ToySpec(), 2).build())
    with pytest.raises(ValueError, match=f"put the {type(spec).__name__} into an EnsembleTuner"):
        spec.build(surrogate)
