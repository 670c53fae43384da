"""Members with a common backbone say and learn together what each does by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import ase.calculators.emt
import numpy as np
import pytest
import torch
from ase import Atoms
from torch.optim import AdamW

from finetuna_flows.finetuning.heads import head_names
from finetuna_flows.finetuning.specs import EnsembleTunerSpec, GradientSpec
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame, Label, Prediction
from finetuna_flows.surrogates.backbone import predict_each
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.ensemble import EnsembleSurrogate, perturb_head
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    CHGNetSpec,
    EnsembleSpec,
    FairchemSpec,
    PerturbedHeadSpec,
    ToySpec,
)
from finetuna_flows.surrogates.toy import ToyHeadInput, ToySurrogate
from tests.fakes.small_esen import small_direct_esen, small_esen
from tests.surrogates.structures import slab
from tests.systems import EMT

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:index_reduce:UserWarning"),
]
BASES: dict[str, Callable[[], Spec[Surrogate]]] = {
    "toy": ToySpec,
    "CHGNet": CHGNetSpec,
    "eSEN": lambda: FairchemSpec(str(small_esen()), "oc20"),
    "eSEN with direct forces": lambda: FairchemSpec(str(small_direct_esen()), "oc20"),
}


@dataclass
class CountingToy(ToySurrogate):
    """Counts the geometries that pass through its backbone, and those that it predicts alone."""

    seed: int = 0
    passed: list[Atoms] = field(default_factory=list)
    alone: list[Atoms] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(seed=self.seed)

    def pass_backbone(self, atoms: Atoms) -> ToyHeadInput:
        self.passed.append(atoms)
        return super().pass_backbone(atoms)

    def predict(self, atoms: Atoms) -> Prediction:
        self.alone.append(atoms)
        return super().predict(atoms)


def toys(*seeds: int) -> list[CountingToy]:
    """Toys with heads of their own; those of one seed have one backbone."""
    made = [CountingToy(seed) for seed in seeds]
    for number, toy in enumerate(made):
        perturb_head(toy, scale=0.1, seed=number)
    return made


def heads(name: str) -> EnsembleSurrogate:
    ensemble = EnsembleSpec.of_heads(BASES[name](), count=3).build()
    assert isinstance(ensemble, EnsembleSurrogate)
    return ensemble


def labelled() -> Frame:
    """The slab as EMT sees it."""
    asked = slab()
    asked.set_constraint()
    asked.calc = ase.calculators.emt.EMT()
    return Frame(slab(), Label(asked.get_potential_energy(), asked.get_forces()))


def assert_said_alone(ensemble: EnsembleSurrogate, atoms: Atoms, aligned: Atoms | None) -> None:
    """Fail unless it is what its members say one by one, within single precision."""
    found = ensemble.predict(atoms)
    said = [member.predict(atoms) for member in ensemble.members]
    energies = np.array([each.energy for each in said])
    forces = np.array([each.forces for each in said])
    assert found.energy == pytest.approx(energies.mean(), abs=1e-4)
    assert found.forces == pytest.approx(forces.mean(axis=0), abs=1e-5)
    assert found.forces_std == pytest.approx(np.std(forces, axis=0, ddof=1), abs=1e-5)
    assert found.forces_std.max() > 1e-3
    if aligned is None:
        assert found.energy_std is None
    else:
        energies -= [member.predict(aligned).energy for member in ensemble.members]
        assert found.energy_std == pytest.approx(np.std(energies, ddof=1), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_heads_say_together_what_they_say_alone(name: str) -> None:
    ensemble, frame, elsewhere = heads(name), labelled(), slab()
    elsewhere.rattle(0.03, seed=1)
    assert_said_alone(ensemble, elsewhere, None)
    recipe = EnsembleTunerSpec((GradientSpec(epochs=15, learning_rate=1e-3),))
    recipe.build(CompositeSurrogate(ensemble)).update([frame])
    shifts = [
        member.predict(elsewhere).energy - member.prior.predict(elsewhere).energy
        for member in ensemble.members
    ]
    assert np.std(shifts) > 1e-3  # each member has learned a constant of its own
    assert_said_alone(ensemble, elsewhere, frame.atoms)


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_heads_learn_together_what_they_learn_alone(name: str) -> None:
    ensemble, frame = heads(name), labelled()
    recipe = GradientSpec(epochs=15, learning_rate=1e-3)
    EnsembleTunerSpec((recipe,)).build(CompositeSurrogate(ensemble)).update([frame])
    for seed, member in enumerate(ensemble.members):
        alone = CompositeSurrogate(PerturbedHeadSpec(BASES[name](), seed).build())
        recipe.build(alone).update([frame])
        assert isinstance(member.prior, TrainableSurrogate)
        assert isinstance(alone.prior, TrainableSurrogate)
        expected = dict(alone.prior.named_parameters())
        for each, weight in member.prior.named_parameters():
            gap = (weight - expected[each]).abs().max()
            assert gap <= 1e-6  # a thousandth of one step
        assert member.predict(slab()).forces == pytest.approx(
            alone.predict(slab()).forces, abs=1e-5
        )


def train_below_the_head(surrogate: Surrogate) -> None:
    """One large step of a fused optimizer, which torch's version counters do not see."""
    assert isinstance(surrogate, TrainableSurrogate)
    head = head_names(surrogate, surrogate.head)
    below = [weight for name, weight in surrogate.named_parameters() if name not in head]
    versions = [weight._version for weight in below]
    for weight in below:
        weight.grad = torch.ones_like(weight)
    AdamW(below, lr=3e-3, fused=True).step()
    for weight in below:
        weight.grad = None
    assert [weight._version for weight in below] == versions


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_a_member_trained_below_its_head_is_asked_by_itself(name: str) -> None:
    ensemble, atoms = heads(name), slab()
    before = ensemble.predict(atoms).forces
    train_below_the_head(ensemble.members[1].prior)
    assert np.abs(ensemble.predict(atoms).forces - before).max() > 1e-4
    assert_said_alone(ensemble, atoms, None)


def test_one_pass_serves_all_heads() -> None:
    members = toys(1, 1, 1)
    EnsembleSurrogate(members).predict(slab())
    assert [len(toy.passed) for toy in members] == [1, 0, 0]
    assert not any(toy.alone for toy in members)


def test_each_backbone_is_passed_once() -> None:
    members = toys(1, 2, 1, 2, 3)
    other = AseSurrogateSpec(EMT).build()
    said = predict_each([other, *members], slab())
    assert [len(toy.passed) for toy in members] == [1, 1, 0, 0, 0]
    assert [len(toy.alone) for toy in members] == [0, 0, 0, 0, 1]
    for each, surrogate in zip(said, [other, *members], strict=True):
        expected = surrogate.predict(slab())
        assert each.energy == pytest.approx(expected.energy)
        assert each.forces == pytest.approx(expected.forces)
