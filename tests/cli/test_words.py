"""From words to specs and Makers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetuna_flows.cli.parse import parse_parent, parse_surrogate, parse_tuner
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
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import (
    CHGNetSpec,
    EnsembleSpec,
    FairchemSpec,
    NuclearSpec,
    SavedSpec,
)
from tests.finetuning.emt_frames import emt_frame


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


@pytest.mark.parametrize(
    ("tuner", "expected"),
    [
        (None, EnsembleTunerSpec((GradientSpec(),))),
        ("gp", ResidualGPSpec()),
        ("last-layer", EnsembleTunerSpec((LastLayerSpec(),))),
        ("last-layer+gp", StackSpec((EnsembleTunerSpec((LastLayerSpec(),)), ResidualGPSpec()))),
        (
            "gradient+last-layer",
            EnsembleTunerSpec((StackSpec((GradientSpec(), LastLayerSpec())),)),
        ),
    ],
)
def test_an_ensemble_s_members_learn_what_the_preset_or_the_user_says(
    tuner: str | None, expected: object
) -> None:
    words = Words(
        parent="emt",
        surrogate="ensemble:toy",
        surrogate_args='{"count": 2}',
        tuner=tuner,
        criterion="static",
    )
    (maker,) = words.makers(["finetuna-2022"])
    assert isinstance(maker, OnlineRelaxMaker)
    assert maker.tuner == expected


@pytest.mark.parametrize("tuner", ["last-layer+gp", "gradient+last-layer"])
def test_an_ensemble_s_tuner_can_be_built(tuner: str) -> None:
    arguments = '{"gradient": {"epochs": 2}}' if "gradient" in tuner else None
    words = Words(parent="emt", surrogate="ensemble:toy", tuner=tuner, tuner_args=arguments)
    (maker,) = words.makers(["fast"])
    assert isinstance(maker, OnlineRelaxMaker)
    surrogate = CompositeSurrogate(maker.surrogate.build())
    frame = emt_frame(0)
    report = maker.tuner.build(surrogate).update([frame])
    assert report.force_rmse_after < report.force_rmse_before


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"tuner_args": '{"gp": {"length": 1}}'}, "--tuner-args is .* but --tuner is missing"),
        ({"surrogate_args": '{"model": "r2scan"}'}, "--surrogate-args is .* but --surrogate is mi"),
    ],
)
def test_arguments_without_their_word_are_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Words(parent="emt", **said).makers(["finetuna-2022"])


@pytest.mark.parametrize(
    ("tuner", "arguments", "words"),
    [
        ("gp", '{"gradient": {"epochs": 2}}', "--tuner-args is for gradient but --tuner is gp"),
        ("gp", '{"gp": 3}', r"--tuner-args has 3 for gp but must have a JSON object"),
        ("gp", '{"gp": {"lenght": 1}}', r"for gp has lenght but may have only length, force_noise"),
        ("gp", '{"gp": {"length": "long"}}', "for gp has a value of the wrong type"),
        ("gp", '{"gp": {"pair_functions": 3.5}}', r"`pair_functions` is 3\.5 but must be an int"),
        ("gradient", '{"gradient": {"head": "mlp"}}', "`head` is the string 'mlp'"),
    ],
)
def test_arguments_that_do_not_fit_a_tuner_are_refused(
    tuner: str, arguments: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        parse_tuner(tuner, arguments)


@pytest.mark.parametrize(
    ("words", "arguments", "refusal"),
    [
        ("ensemble:chgnet", '{"count": "4"}', "`count` is '4' but must be an integer"),
        ("toy", '{"cutof": 3}', "--surrogate-args has cutof but may have only seed, cutoff"),
        ("nuclear", '{"seed": 3}', "has seed but may have only nothing"),
        ("chgnet:r2scan", '{"model": "0.2.0"}', "has model but may have only nothing"),
        ("fairchem:uma", '{"task": "omol", "charge": 0.5}', r"`charge` is 0\.5 but must be an int"),
    ],
)
def test_arguments_that_do_not_fit_a_surrogate_are_refused(
    words: str, arguments: str, refusal: str
) -> None:
    with pytest.raises(ValueError, match=refusal):
        parse_surrogate(words, arguments)


def test_arguments_that_do_not_fit_a_parent_are_refused() -> None:
    with pytest.raises(ValueError, match="--parent-args has cut but may have only engine, contin"):
        parse_parent("embedded", '{"cut": 3}')


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
        (
            {"tuner": "gp", "tuner_args": '{"gp": {"length": 0.7}}'},
            "tuner",
            ResidualGPSpec(length=0.7),
        ),
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
