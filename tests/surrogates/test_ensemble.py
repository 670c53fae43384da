"""Ensembles: laws of every surrogate, what their spread means, and how members come to differ."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.surrogates.ensemble import EnsembleSurrogate
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    CHGNetSpec,
    EnsembleSpec,
    PerturbedHeadSpec,
    ToySpec,
)
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS

TOYS = EnsembleSpec((ToySpec(seed=1), ToySpec(seed=2), ToySpec(seed=3)))


class TestEnsemble(SurrogateContract):
    def surrogate(self) -> Surrogate:
        return TOYS.build()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


def built(spec: EnsembleSpec) -> EnsembleSurrogate:
    ensemble = spec.build()
    assert isinstance(ensemble, EnsembleSurrogate)
    return ensemble


def test_it_is_the_mean_and_the_sample_deviation_of_its_members() -> None:
    alone = [spec.build().predict(slab()) for spec in TOYS.members]
    prediction = TOYS.build().predict(slab())
    assert prediction.energy == pytest.approx(sum(each.energy for each in alone) / 3)
    forces = [each.forces for each in alone]
    mean = sum(forces) / 3
    assert prediction.forces == pytest.approx(mean)
    variance = sum((each - mean) ** 2 for each in forces) / 2
    assert prediction.forces_std == pytest.approx(np.sqrt(variance))


def test_models_of_different_kinds_are_members_of_one_ensemble() -> None:
    spec = EnsembleSpec((AseSurrogateSpec(EMT), AseSurrogateSpec(MORSE, MORSE_ARGUMENTS)))
    one, other = (member.build().predict(slab()) for member in spec.members)
    spread = spec.build().predict(slab()).forces_std
    assert spread == pytest.approx(np.abs(one.forces - other.forces) / np.sqrt(2))


def test_the_spread_of_energies_is_unknown_until_they_agree_somewhere() -> None:
    ensemble, elsewhere = built(TOYS), slab()
    elsewhere.rattle(0.05, seed=9)
    assert ensemble.predict(slab()).energy_std is None
    ensemble.align(slab())
    assert ensemble.predict(slab()).energy_std == pytest.approx(0, abs=1e-12)
    ways = [
        each.predict(elsewhere).energy - each.predict(slab()).energy for each in ensemble.members
    ]
    expected = np.sqrt(sum((way - np.mean(ways)) ** 2 for way in ways) / 2)
    assert expected > 1e-3
    assert ensemble.predict(elsewhere).energy_std == pytest.approx(expected)


def test_agreement_of_copies_is_no_certainty() -> None:
    ensemble = EnsembleSpec((ToySpec(), ToySpec())).build()
    assert ensemble.predict(slab()).forces_std is None


def test_it_knows_the_elements_that_all_members_know() -> None:
    mixed = EnsembleSpec((ToySpec(), AseSurrogateSpec(EMT)))
    assert mixed.build().elements == AseSurrogateSpec(EMT).build().elements
    silent = AseSurrogateSpec(MORSE, MORSE_ARGUMENTS)
    assert EnsembleSpec((silent, ToySpec())).build().elements == ToySpec().build().elements
    assert EnsembleSpec((silent, silent)).build().elements is None


def test_a_member_that_refuses_speaks_for_all() -> None:
    ensemble = EnsembleSpec((ToySpec(), AseSurrogateSpec(EMT))).build()
    with pytest.raises(SurrogateError, match=r"cannot predict .*Bi"):
        ensemble.predict(Atoms("Bi2", [[0, 0, 0], [0, 0, 2.5]]))


@pytest.mark.parametrize("base", [ToySpec(), CHGNetSpec()])
def test_only_the_head_is_perturbed_and_by_the_seed_alone(base: Spec[Surrogate]) -> None:
    surrogates = [base.build(), *(PerturbedHeadSpec(base, seed).build() for seed in (0, 0, 1))]
    weights = []
    for surrogate in surrogates:
        assert isinstance(surrogate, TrainableSurrogate)
        weights.append(dict(surrogate.named_parameters()))
    plain, first, again, other = weights
    changed = {name for name in plain if not plain[name].equal(first[name])}
    heads = {"head.weight", "mlp.layers.7.weight"}  # of the toy, of CHGNet
    assert changed & heads
    assert all(name.startswith(("head.", "mlp.", "readout_norm.")) for name in changed)
    assert all(first[name].equal(again[name]) for name in plain)
    assert not any(first[name].equal(other[name]) for name in changed)
    assert not any(weight.requires_grad for weight in first.values())


def test_heads_of_one_pretrained_model_disagree_about_forces_by_less_than_they_are() -> None:
    prediction = EnsembleSpec.of_heads(CHGNetSpec(), count=3).build().predict(slab())
    assert prediction.forces_std is not None
    spread, size = (np.sqrt(np.mean(f**2)) for f in (prediction.forces_std, prediction.forces))
    assert 1e-3 < spread < size


def test_a_surrogate_without_weights_has_no_head() -> None:
    with pytest.raises(ValueError, match=r"a AseSurrogate has no head to perturb.*EnsembleSpec"):
        PerturbedHeadSpec(AseSurrogateSpec(EMT)).build()


def test_one_member_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`members` holds 1 surrogate.* at least 2"):
        EnsembleSpec((ToySpec(),))
    with pytest.raises(ValueError, match=r"got 0 member.* at least 2"):
        EnsembleSurrogate([])


def test_a_scale_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="`scale` is 0 but must be positive"):
        PerturbedHeadSpec(ToySpec(), scale=0)


@pytest.mark.parametrize("spec", [TOYS, EnsembleSpec.of_heads(ToySpec(), count=2)])
def test_spec_survives_json(spec: EnsembleSpec) -> None:
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec
