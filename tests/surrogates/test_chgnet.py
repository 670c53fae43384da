"""CHGNet: the laws within single precision, and its own calculator as the reference."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch
from ase import Atoms
from chgnet.model.dynamics import CHGNetCalculator
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import (
    CacheableSurrogate,
    FeatureSurrogate,
    LastLayerSurrogate,
    TrainableSurrogate,
)
from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from finetuna_flows.surrogates.specs import CHGNetSpec
from tests.contracts.surrogate import (
    BranchingSurrogateContract,
    CacheableSurrogateContract,
    FeatureSurrogateContract,
)
from tests.surrogates.structures import slab, water, with_a_lone_oxygen


@cache
def chgnet() -> CHGNetSurrogate:
    return CHGNetSurrogate()


class TestCHGNet(CacheableSurrogateContract, FeatureSurrogateContract, BranchingSurrogateContract):
    step = 2e-3  # single precision rounds energies by 1e-5 eV
    energy_tolerance = 1e-4
    force_tolerance = 1e-4
    difference_tolerance = 3e-3
    feature_tolerance = 1e-5
    slope_tolerance = 3e-3  # single precision rounds sums of 100 by 1e-5

    def surrogate(self) -> CHGNetSurrogate:
        return chgnet()

    def branches(self) -> tuple[CHGNetSurrogate, CHGNetSurrogate]:
        return CHGNetSurrogate(), CHGNetSurrogate()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


@pytest.mark.parametrize("model", ["0.3.0", "0.2.0"])
def test_the_last_layer_weighs_its_inputs(model: str) -> None:
    surrogate, atoms = CHGNetSurrogate(model), slab()
    free = np.ones((len(atoms), 3), dtype=bool)
    inputs = surrogate.last_layer_inputs(atoms, free)
    cached = surrogate.cache(surrogate.prepare(atoms), free)
    before = surrogate.predict(atoms)
    change = np.random.default_rng(0).normal(size=64, scale=0.1)
    name = max(name for name in dict(surrogate.named_parameters()) if name.startswith("mlp."))
    with torch.no_grad():
        dict(surrogate.named_parameters())[name].add_(torch.as_tensor(change).float())
    after = surrogate.predict(atoms)
    assert after.energy - before.energy == pytest.approx(change @ inputs.values, abs=1e-3)
    expected = -np.tensordot(change, inputs.slopes, axes=1)
    assert after.forces - before.forces == pytest.approx(expected, abs=1e-3)
    _, of_head = surrogate.evaluate_head(cached)
    assert of_head.detach().numpy() == pytest.approx(after.forces, abs=1e-4)


def test_many_free_components_have_the_slopes_of_few() -> None:
    atoms = slab().repeat((2, 1, 1))  # 78 components: more than descriptors
    free = np.arange(len(atoms) * 3).reshape(-1, 3) % 3 == 0
    few = chgnet().features(atoms, free).slopes
    many = chgnet().features(atoms, np.ones_like(free)).slopes
    assert few[:, free] == pytest.approx(many[:, free], abs=1e-4)
    assert np.abs(few).max() > 1


def test_a_head_without_a_norm_has_none_to_train() -> None:
    assert CHGNetSurrogate("0.2.0").head == ("mlp.*",)
    assert chgnet().head == ("mlp.*", "readout_norm.*")


@pytest.mark.filterwarnings(
    "ignore:Converting a tensor with requires_grad=True to a scalar:UserWarning"
)
def test_its_own_calculator_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    atoms = slab()
    atoms.set_constraint()
    atoms.pbc = True  # the calculator knows nothing else; the vacuum is wider than the cutoff
    atoms.calc = CHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")
    ours = chgnet().predict(slab())
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert ours.forces == pytest.approx(atoms.get_forces(), abs=1e-4)


def test_it_is_trainable_with_all_weights_at_rest() -> None:
    assert isinstance(chgnet(), TrainableSurrogate)
    assert isinstance(chgnet(), CacheableSurrogate)
    assert isinstance(chgnet(), FeatureSurrogate)
    assert isinstance(chgnet(), LastLayerSurrogate)
    assert not any(weight.requires_grad for _, weight in chgnet().named_parameters())


def test_loading_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    CHGNetSpec().build()
    assert capsys.readouterr() == ("", "")


def test_it_knows_hydrogen_to_plutonium() -> None:
    known = chgnet().elements
    assert len(known) == 94
    assert {"H", "Pu"} <= known
    assert "Am" not in known


def test_a_molecule_needs_no_box() -> None:
    boxed = water()
    boxed.set_cell([25.0] * 3)
    boxed.center()
    boxed.pbc = True
    assert chgnet().predict(water()).energy == pytest.approx(
        chgnet().predict(boxed).energy, abs=1e-4
    )


def test_a_lone_atom_feels_no_force() -> None:
    prediction = chgnet().predict(Atoms("H"))
    assert np.isfinite(prediction.energy)
    assert np.array_equal(prediction.forces, np.zeros((1, 3)))


def test_a_head_without_bonds_says_what_it_says_alone() -> None:
    found = chgnet().predict_head(chgnet().pass_backbone(Atoms("H")))
    assert found.energy == pytest.approx(chgnet().predict(Atoms("H")).energy, abs=1e-5)
    assert not found.forces.any()


def test_other_released_weights_are_another_backbone() -> None:
    assert not chgnet().shares_backbone(CHGNetSurrogate("r2scan"))


def test_a_distant_atom_adds_its_own_energy() -> None:
    together = water() + Atoms("H", [[0, 0, 30]])
    prediction = chgnet().predict(together)
    alone = chgnet().predict(water()).energy + chgnet().predict(Atoms("H")).energy
    assert prediction.energy == pytest.approx(alone, abs=1e-4)
    assert np.array_equal(prediction.forces[-1], np.zeros(3))


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(SurrogateError, match="CHGNet does not know Am; it knows"):
        chgnet().predict(Atoms("Am2", [[0, 0, 0], [0, 0, 3]]))


def test_two_atoms_at_one_place_are_refused() -> None:
    with pytest.raises(SurrogateError, match="energy that are not finite"):
        chgnet().predict(Atoms("Cu2", np.zeros((2, 3))))


def test_what_was_not_prepared_is_refused() -> None:
    with pytest.raises(TypeError, match="got a Atoms but needs what `prepare` returns"):
        chgnet().evaluate(water())


def test_spec_survives_json() -> None:
    spec = CHGNetSpec(model="r2scan")
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec


def test_weights_that_are_not_released_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` is '9' but CHGNet's package ships 0.3.0"):
        CHGNetSpec(model="9")


def test_an_isolated_atom_is_told_once_and_has_a_constant_energy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    surrogate = CHGNetSurrogate()
    near, far = (surrogate.predict(with_a_lone_oxygen(height)) for height in (12.0, 14.0))
    assert near.energy == pytest.approx(far.energy, abs=1e-4)
    assert not far.forces[-1].any()
    told = [record.message for record in caplog.records if "beyond 6 Å" in record.message]
    assert len(told) == 1
    assert "the first atom 3 (O)" in told[0]
    assert "CHGNet gives them a constant energy and no force" in told[0]


@pytest.mark.filterwarnings(
    "ignore:Converting a tensor with requires_grad=True to a scalar:UserWarning"
)
def test_its_own_calculator_answers_for_an_isolated_atom_too() -> None:
    """It used to refuse; from 0.4.2 on it prints a warning."""
    boxed = with_a_lone_oxygen()
    boxed.set_cell([30.0] * 3)
    boxed.center()
    boxed.pbc = True
    boxed.calc = CHGNetCalculator(use_device="cpu")
    assert boxed.get_potential_energy() == pytest.approx(chgnet().predict(boxed).energy, abs=1e-4)
