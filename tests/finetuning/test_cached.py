"""Training on what enters the head is the same descent as passing the whole model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from ase import Atoms

from finetuna_flows.finetuning.cached import HeadInputs, geometry_key
from finetuna_flows.finetuning.heads import head_names
from finetuna_flows.finetuning.specs import (
    EnsembleTunerSpec,
    GradientSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.geometry import Mask
from finetuna_flows.protocols import (
    CacheableSurrogate,
    CorrectableSurrogate,
    FineTuner,
    TunerSpec,
)
from finetuna_flows.records import Frame
from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.ensemble import EnsembleSurrogate, perturb_head
from finetuna_flows.surrogates.toy import ToyHeadInput, ToySurrogate
from tests.contracts.tuner import FineTunerContract
from tests.finetuning.emt_frames import emt_frames


@dataclass
class CountingToy(ToySurrogate):
    """Counts the labels that pass through all but its head."""

    cutoff: float = 5.0
    passed: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(cutoff=self.cutoff)

    def pass_backbone(self, atoms: Atoms) -> ToyHeadInput:
        return super().cache(self.prepare(atoms), np.ones((len(atoms), 3), dtype=bool))

    def cache(self, prepared: object, free: Mask) -> ToyHeadInput:
        self.passed.append(prepared)
        return super().cache(prepared, free)


@dataclass(frozen=True)
class Descent:
    """What one or more updates left."""

    losses: list[float]
    weights: dict[str, torch.Tensor]
    forces: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    energy: float


def descend(
    prior: CacheableSurrogate,
    spec: GradientSpec,
    updates: Sequence[Sequence[Frame]],
    caplog: pytest.LogCaptureFixture,
) -> Descent:
    surrogate = CompositeSurrogate(prior)
    tuner = spec.build(surrogate)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "finetuna_flows.finetuning.gradient"):
        for frames in updates:
            tuner.update(frames)
    losses = [float(record.getMessage().split()[3]) for record in caplog.records]
    said = surrogate.predict(updates[0][0].atoms)
    weights = {name: weight.detach().clone() for name, weight in prior.named_parameters()}
    return Descent(losses, weights, said.forces, said.energy)


def assert_same_descent(one: Descent, other: Descent, tolerance: float) -> None:
    assert len(one.losses) == len(other.losses)
    assert one.losses[-1] < 0.95 * one.losses[0]
    assert one.losses == pytest.approx(other.losses, abs=tolerance)
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight, other.weights[name], rtol=0.0, atol=tolerance)
    assert one.forces == pytest.approx(other.forces, abs=10 * tolerance)
    assert one.energy == pytest.approx(other.energy, abs=1e-4)


@pytest.mark.parametrize("energy_weight", [0.0, 1.0])
def test_toys_descent_is_the_naive_one(
    energy_weight: float, caplog: pytest.LogCaptureFixture
) -> None:
    frames = emt_frames(3)
    naive, cached = (
        descend(
            ToySurrogate(),
            GradientSpec(
                epochs=12,
                window=2,
                learning_rate=3e-3,
                energy_weight=energy_weight,
                cached=cached,
            ),
            [frames[:1], frames[:2], frames],
            caplog,
        )
        for cached in (False, True)
    )
    assert len(naive.losses) == 36
    assert_same_descent(naive, cached, tolerance=1e-9)


def test_chgnets_descent_is_the_naive_one(caplog: pytest.LogCaptureFixture) -> None:
    frames = emt_frames(2)
    naive, cached = (
        descend(
            CHGNetSurrogate(),
            GradientSpec(epochs=6, window=None, learning_rate=1e-3, cached=cached),
            [frames],
            caplog,
        )
        for cached in (False, True)
    )
    assert_same_descent(naive, cached, tolerance=1e-4)  # single precision, a tenth of one step


class TestNaive(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        return GradientSpec(learning_rate=3e-3, epochs=20, cached=False).build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


@pytest.mark.parametrize(
    ("head", "cached", "passes"),
    [
        (None, True, 2),
        (("head.weight",), True, 2),
        (None, False, 0),
        (("backbone.radial",), True, 0),
        (("head.*", "backbone.radial"), True, 0),
    ],
)
def test_only_the_surrogates_own_head_is_trained_on_its_inputs(
    head: tuple[str, ...] | None, cached: bool, passes: int
) -> None:
    toy = CountingToy()
    spec = GradientSpec(head=head, epochs=5, window=None, cached=cached)
    spec.build(CompositeSurrogate(toy)).update(emt_frames(2))
    assert len(toy.passed) == passes


def test_a_label_passes_once_while_it_is_in_the_window() -> None:
    toy, frames = CountingToy(), emt_frames(3)
    tuner = GradientSpec(epochs=2, window=2).build(CompositeSurrogate(toy))
    for labels, passes in ((frames[:1], 1), (frames[:2], 2), (frames, 3), (frames, 3)):
        tuner.update(labels)
        assert len(toy.passed) == passes
    tuner.update(frames[:1])
    assert len(toy.passed) == 4


def heads(*toys: CountingToy) -> CompositeSurrogate:
    """An ensemble of them with heads of their own."""
    for seed, toy in enumerate(toys):
        perturb_head(toy, scale=0.1, seed=seed)
    return CompositeSurrogate(EnsembleSurrogate(toys))


@pytest.mark.parametrize("stacked", [False, True])
def test_a_label_passes_once_for_all_members_with_one_backbone(stacked: bool) -> None:
    toys, frames = [CountingToy(), CountingToy(), CountingToy()], emt_frames(3)
    spec: TunerSpec = GradientSpec(epochs=2, window=2)
    spec = StackSpec((spec, ResidualGPSpec())) if stacked else spec
    tuner = EnsembleTunerSpec((spec,)).build(heads(*toys))
    for labels, passes in ((frames[:1], 1), (frames[:2], 2), (frames, 3)):
        tuner.update(labels)
        assert sum(len(toy.passed) for toy in toys) == passes


def test_a_label_passes_each_backbone() -> None:
    toys, frames = [CountingToy(), CountingToy(4.0), CountingToy(), CountingToy(4.0)], emt_frames(1)
    tuner = EnsembleTunerSpec((GradientSpec(epochs=2),)).build(heads(*toys))
    tuner.update(frames)
    assert [len(toy.passed) for toy in toys] == [1, 1, 0, 0]
    with torch.no_grad():
        dict(toys[2].named_parameters())["backbone.radial"].add_(0.1)
    tuner.update(frames)
    assert [len(toy.passed) for toy in toys] == [1, 1, 1, 0]


def inputs_of(toy: ToySurrogate) -> HeadInputs:
    return HeadInputs(toy, head_names(toy, toy.head))


def test_other_weights_that_change_let_all_labels_pass_again() -> None:
    toy, frames = CountingToy(), emt_frames(2)
    inputs = inputs_of(toy)
    first = inputs.read(frames)
    weights = dict(toy.named_parameters())
    with torch.no_grad():
        weights["head.weight"].add_(0.1)
    assert inputs.read(frames) == first  # the very same objects
    with torch.no_grad():
        weights["backbone.radial"].add_(0.1)
    second = inputs.read(frames)
    assert len(toy.passed) == 4
    for input_, frame in zip(second, frames, strict=True):
        _, forces = toy.evaluate_head(input_)
        free = forces.detach().numpy()[4:]
        assert free == pytest.approx(toy.predict(frame.atoms).forces[4:], abs=1e-12)


def changed(change: str) -> Atoms:
    (frame,) = emt_frames(1)
    atoms = frame.atoms
    if change == "positions":
        atoms.positions[5] += 1e-9
    elif change == "cell":
        atoms.set_cell(atoms.cell.array * 1.01)
    elif change == "elements":
        atoms.symbols[5] = "Ni"
    elif change == "pbc":
        atoms.pbc = True
    elif change == "constraints":
        atoms.set_constraint()
    return atoms


@pytest.mark.parametrize("change", ["positions", "cell", "elements", "pbc", "constraints"])
def test_labels_are_told_apart_by_all_that_matters(change: str) -> None:
    assert geometry_key(changed("nothing")) == geometry_key(emt_frames(1)[0].atoms)
    assert geometry_key(changed(change)) != geometry_key(changed("nothing"))
