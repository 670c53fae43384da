"""The toy: laws of every surrogate, its repulsion against the formula, any element, speed."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import fcc111
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import SurrogateError
from finetuna_flows.pairs import find_pairs
from finetuna_flows.protocols import (
    CacheableSurrogate,
    FeatureSurrogate,
    LastLayerSurrogate,
    TrainableSurrogate,
)
from finetuna_flows.surrogates.repulsion import envelope, zbl_energy
from finetuna_flows.surrogates.specs import ToySpec
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.surrogate import (
    BranchingSurrogateContract,
    CacheableSurrogateContract,
    FeatureSurrogateContract,
)
from tests.surrogates.structures import slab, water


class TestToy(CacheableSurrogateContract, FeatureSurrogateContract, BranchingSurrogateContract):
    def surrogate(self) -> ToySurrogate:
        return ToySurrogate(seed=1)

    def branches(self) -> tuple[ToySurrogate, ToySurrogate]:
        return self.surrogate(), self.surrogate()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


def test_it_is_trainable_with_inputs_of_its_head() -> None:
    assert isinstance(ToySurrogate(), TrainableSurrogate)
    assert isinstance(ToySurrogate(), CacheableSurrogate)
    assert isinstance(ToySurrogate(), FeatureSurrogate)
    assert isinstance(ToySurrogate(), LastLayerSurrogate)


def test_another_cutoff_is_another_backbone() -> None:
    assert not ToySurrogate().shares_backbone(ToySurrogate(cutoff=4.0))


def test_the_last_layer_weighs_its_inputs() -> None:
    toy, atoms = ToySurrogate(), slab()
    inputs = toy.last_layer_inputs(atoms, np.ones((len(atoms), 3), dtype=bool))
    before = toy.predict(atoms)
    change = np.random.default_rng(0).normal(size=inputs.values.shape)
    with torch.no_grad():
        dict(toy.named_parameters())["head.weight"].add_(torch.as_tensor(change))
    after = toy.predict(atoms)
    assert after.energy - before.energy == pytest.approx(change @ inputs.values)
    expected = -np.tensordot(change, inputs.slopes, axes=1)
    assert after.forces - before.forces == pytest.approx(expected, abs=1e-9)


def test_another_seed_is_another_model() -> None:
    one, two = (ToySurrogate(seed=seed).predict(slab()).energy for seed in (0, 1))
    assert one != two


@pytest.mark.parametrize("symbol", ["H", "Cu", "Bi", "Og"])
def test_atoms_cannot_fall_into_each_other(symbol: str) -> None:
    toy = ToySurrogate()
    energies = [toy.predict(Atoms([symbol] * 2, [[0, 0, 0], [0, 0, r]])).energy for r in (0.1, 0.2)]
    assert energies[0] > energies[1] > 10


def test_a_lone_atom_has_no_energy_and_no_force() -> None:
    lone = ToySurrogate().predict(Atoms("Pt"))
    assert lone.energy == 0
    assert np.array_equal(lone.forces, np.zeros((1, 3)))


def test_pairs_beyond_the_cutoff_do_not_interact() -> None:
    toy = ToySurrogate(cutoff=4.0)
    assert toy.predict(Atoms("Cu2", [[0, 0, 0], [0, 0, 4.001]])).energy == 0
    assert toy.predict(Atoms("Cu2", [[0, 0, 0], [0, 0, 3.5]])).energy != 0


def test_two_atoms_at_one_place_are_refused() -> None:
    with pytest.raises(SurrogateError, match="energy that are not finite"):
        ToySurrogate().predict(Atoms("Cu2", np.zeros((2, 3))))


def test_what_was_not_prepared_is_refused() -> None:
    with pytest.raises(TypeError, match="got a Atoms but needs what `prepare` returns"):
        ToySurrogate().evaluate(slab())


def test_repulsion_is_the_formula_of_1985() -> None:
    distance = 0.3  # Å; of Cu and O, far inside their radii, where the envelope is still one
    scaled = distance / (0.8853 * 0.529177 / (29**0.23 + 8**0.23))
    phi = 0.18175 * np.exp(-3.1998 * scaled) + 0.50986 * np.exp(-0.94229 * scaled)
    phi += 0.28022 * np.exp(-0.4029 * scaled) + 0.02817 * np.exp(-0.20162 * scaled)
    expected = 14.3996 * 29 * 8 / distance * phi
    found = zbl_energy(torch.tensor([distance]).double(), torch.tensor([29]), torch.tensor([8]))
    assert found.item() == pytest.approx(expected, rel=5e-3)  # the envelope takes 0.1 %


def test_envelope_ends_smoothly() -> None:
    x = torch.tensor([0.0, 0.5, 1 - 1e-6, 1.0, 1.5], dtype=torch.float64, requires_grad=True)
    values = envelope(x)
    (slopes,) = torch.autograd.grad(values.sum(), x)
    assert values[0] == 1
    assert 0 < values[1] < 1
    assert values[2:].detach().numpy() == pytest.approx(0, abs=1e-12)
    assert slopes[2:].numpy() == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), pbc=st.tuples(*[st.booleans()] * 3), cutoff=st.floats(1.0, 7.0))
def test_pairs_are_those_of_ase(seed: int, pbc: tuple[bool, bool, bool], cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    cell = 4 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
    atoms = Atoms("Cu4", rng.uniform(-6, 6, (4, 3)), cell=cell, pbc=pbc)
    pairs = find_pairs(atoms, cutoff)
    ours = np.linalg.norm(pairs.vectors, axis=1)
    theirs = neighbor_list("d", atoms, cutoff)
    assert np.sort(np.repeat(ours, 2)) == pytest.approx(np.sort(theirs))


def test_forty_atoms_take_milliseconds() -> None:
    atoms, toy = fcc111("Cu", (3, 3, 4), vacuum=8.0), ToySurrogate()
    toy.predict(atoms)
    start = time.process_time()
    for _ in range(10):
        toy.predict(atoms)
    assert (time.process_time() - start) / 10 < 0.02  # 4 ms on a quiet core


def test_spec_survives_json_and_builds() -> None:
    spec = ToySpec(seed=3, cutoff=4.5)
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec
    assert (
        spec.build().predict(slab()).energy
        == ToySurrogate(seed=3, cutoff=4.5).predict(slab()).energy
    )


def test_a_cutoff_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="`cutoff` is 0 but must be positive"):
        ToySpec(cutoff=0)
