"""From words to specs and Makers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetuna_flows.cli.parse import parse_surrogate, parse_tuner
from finetuna_flows.cli.words import Words
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    LastLayerSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.flows.presets import PRESETS, preset
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.surrogates.specs import (
    CHGNetSpec,
    EnsembleSpec,
    FairchemSpec,
    NuclearSpec,
    SavedSpec,
)


@pytest.mark.parametrize(
    ("words", "arguments", "expected"),
    [
        ("chgnet", None, CHGNetSpec()),
        ("chgnet:r2scan", None, CHGNetSpec("r2scan")),
        ("fairchem:uma-s-1p2", '{"task": "oc20"}', FairchemSpec("uma-s-1p2", "oc20")),
        ("saved:slabs", None, SavedSpec("slabs")),
        ("nuclear", None, NuclearSpec()),
        ("ensemble:chgnet", '{"count": 3}', EnsembleSpec.of_heads(CHGNetSpec(), 3)),
        ("ensemble:saved:slabs", None, EnsembleSpec.of_heads(SavedSpec("slabs"))),
    ],
)
def test_a_surrogate_is_named(words: str, arguments: str | None, expected: object) -> None:
    assert parse_surrogate(words, arguments) == expected


@pytest.mark.parametrize("words", ["gemnet", "fairchem", "fairchem:", "saved", "ensemble", "ase"])
def test_a_surrogate_that_is_not_known_is_refused_with_those_that_are(words: str) -> None:
    with pytest.raises(ValueError, match=r"must be chgnet, .*fairchem:NAME.*saved:NAME"):
        parse_surrogate(words, None)


def test_a_fairchem_model_needs_its_task() -> None:
    with pytest.raises(ValueError, match=r"level of theory.*oc20"):
        parse_surrogate("fairchem:model.pt", None)


def test_a_path_of_a_fairchem_model_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = parse_surrogate("fairchem:model.pt", '{"task": "omat"}')
    assert spec == FairchemSpec(str(tmp_path / "model.pt"), "omat")


def test_tuners_are_stacked_in_their_order() -> None:
    arguments = '{"gp": {"length": 0.8}, "last-layer": {"window": 3}}'
    assert parse_tuner("last-layer+gp", arguments) == StackSpec(
        (LastLayerSpec(window=3), ResidualGPSpec(length=0.8))
    )
    assert parse_tuner("curvature+gp", None) == StackSpec((CurvatureSpec(), ResidualGPSpec()))


def test_gradient_descent_reaches_every_member_of_an_ensemble() -> None:
    words = Words(parent="emt", surrogate="ensemble:chgnet", tuner="gradient+gp")
    (maker,) = words.makers(["fast"])
    assert isinstance(maker, OnlineRelaxMaker)
    assert maker.tuner == StackSpec((EnsembleTunerSpec((GradientSpec(),)), ResidualGPSpec()))


def test_what_is_not_said_is_as_the_preset_has_it() -> None:
    for name in PRESETS:
        (maker,) = Words(parent="emt").makers([name])
        assert isinstance(maker, OnlineRelaxMaker)
        own = preset(name)
        for field in ("surrogate", "tuner", "criterion", "optimizer", "returns_to_best"):
            assert getattr(maker, field) == getattr(own, field)


@pytest.mark.parametrize(
    ("said", "field", "expected"),
    [
        ({"tuner": "gp"}, "tuner", ResidualGPSpec()),
        ({"tuner_args": '{"gp": {"length": 0.7}}'}, "tuner", ResidualGPSpec(length=0.7)),
        ({"surrogate": "nuclear", "tuner": "gp"}, "surrogate", NuclearSpec()),
        ({"optimizer": "FIRE"}, "optimizer", "FIRE"),
        ({"fmax": 0.1}, "fmax", 0.1),
    ],
)
def test_what_is_said_counts(said: dict[str, Any], field: str, expected: object) -> None:
    (maker,) = Words(parent="emt", **said).makers(["finetuna-2022"])
    assert getattr(maker, field) == expected


def test_an_unknown_method_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"must be one of online, .*finetuna-2022.*BFGS"):
        Words(parent="emt").makers(["magic"])
