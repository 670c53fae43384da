"""The regression of the last layer: exact where the layer can be right, conservative, stackable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import FineTuningError, SurrogateError
from finetuna_flows.finetuning.specs import (
    GradientSpec,
    LastLayerSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.geometry import Array, Mask, free_components, moved
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner
from finetuna_flows.records import Features, Frame, Label, Prediction
from finetuna_flows.surrogates.ase_prior import AseSurrogate
from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.tuner import FineTunerContract, force_rmse
from tests.finetuning.emt_frames import emt_frames

STACK = StackSpec((LastLayerSpec(), ResidualGPSpec()))
NOISE, PRIOR = 0.05, 0.2
FIXED = LastLayerSpec(noise=(NOISE, NOISE), prior=(PRIOR, PRIOR))


class CountingToy(ToySurrogate):
    """Counts how often its inputs are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def last_layer_inputs(self, atoms: Atoms, free: Mask) -> Features:
        self.asked += 1
        return super().last_layer_inputs(atoms, free)


class TestLastLayer(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        return LastLayerSpec().build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


class TestUnderTheProcess(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        return STACK.build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


def taught(spec: LastLayerSpec, frames: Sequence[Frame]) -> CompositeSurrogate:
    surrogate = CompositeSurrogate(ToySurrogate())
    spec.build(surrogate).update(frames)
    return surrogate


def stacked(toy: ToySurrogate, frames: Sequence[Frame]) -> tuple[Array, Array]:
    """Rows and targets of the regression, component by component."""
    rows, targets = [], []
    for frame in frames:
        free = free_components(frame.atoms)
        slopes = toy.features(frame.atoms, free).slopes
        below = toy.predict(frame.atoms).forces
        for atom, axis in np.argwhere(free):
            rows.append(-slopes[:, atom, axis])
            targets.append(frame.label.forces[atom, axis] - below[atom, axis])
    return np.array(rows), np.array(targets)


def test_prediction_and_spread_are_those_of_the_dense_posterior() -> None:
    frames, (unseen,), toy = emt_frames(2), emt_frames(1, first=50), ToySurrogate()
    rows, targets = stacked(toy, frames)
    covariance = np.linalg.inv(rows.T @ rows / NOISE**2 + np.eye(rows.shape[1]) / PRIOR**2)
    mean = covariance @ rows.T @ targets / NOISE**2
    asked, _ = stacked(toy, [unseen])
    free = free_components(unseen.atoms)
    said = taught(FIXED, frames).predict(unseen.atoms)
    assert said.forces_std is not None
    plain = toy.predict(unseen.atoms)
    assert said.forces[free] == pytest.approx(plain.forces[free] + asked @ mean, abs=1e-6)
    variance = np.diag(asked @ covariance @ asked.T) + NOISE**2
    assert said.forces_std[free] == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert np.array_equal(said.forces[~free], plain.forces[~free])
    assert not said.forces_std[~free].any()
    way = toy.features(unseen.atoms, free).values - toy.features(frames[-1].atoms, free).values
    shift = frames[-1].label.energy - toy.predict(frames[-1].atoms).energy
    assert said.energy == pytest.approx(plain.energy + shift + way @ mean, abs=1e-6)
    assert said.energy_std == pytest.approx(np.sqrt(way @ covariance @ way), rel=1e-6)


def test_a_parent_that_differs_in_the_last_layer_alone_is_learned() -> None:
    teacher = ToySurrogate()
    weight = dict(teacher.named_parameters())["head.weight"]
    with torch.no_grad():
        weight.add_(torch.as_tensor(np.random.default_rng(0).normal(scale=0.3, size=128)))
    frames = [
        Frame(f.atoms, Label(said.energy + 7.0, said.forces))
        for f in emt_frames(8)
        for said in [teacher.predict(f.atoms)]
    ]
    bar = 0.1 * force_rmse(CompositeSurrogate(ToySurrogate()), frames[7:])
    surrogate = taught(LastLayerSpec(), frames[:7])
    assert force_rmse(surrogate, frames[7:]) < bar
    said = surrogate.predict(frames[7].atoms)
    assert said.energy == pytest.approx(frames[7].label.energy, abs=0.02)


def test_forces_are_minus_the_gradient_after_learning() -> None:
    surrogate = taught(LastLayerSpec(), emt_frames(3))
    (frame,) = emt_frames(1, first=20)
    atoms, step = frame.atoms, 1e-3
    forces = surrogate.predict(atoms).forces
    for atom, axis in ((5, 0), (12, 1), (12, 2)):
        energies = []
        for sign in (1, -1):
            positions = atoms.positions.copy()
            positions[atom, axis] += sign * step
            energies.append(surrogate.predict(moved(atoms, positions)).energy)
        slope = (energies[0] - energies[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-4)


def test_the_spread_covers_the_errors_of_labels_it_has_not_seen() -> None:
    surrogate = taught(LastLayerSpec(), emt_frames(6))
    scores = []
    for frame in emt_frames(6, first=60):
        said = surrogate.predict(frame.atoms)
        assert said.forces_std is not None
        free = free_components(frame.atoms)
        scores.append((said.forces - frame.label.forces)[free] / said.forces_std[free])
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 2.0


def test_chgnets_network_is_not_touched() -> None:
    chgnet = CHGNetSurrogate()
    before = {name: weight.clone() for name, weight in chgnet.named_parameters()}
    surrogate = CompositeSurrogate(chgnet)
    report = LastLayerSpec().build(surrogate).update(emt_frames(2))
    assert report.force_rmse_after < 0.8 * report.force_rmse_before
    assert all(weight.equal(before[name]) for name, weight in chgnet.named_parameters())
    assert surrogate.corrections == ("last_layer",)


def test_the_process_learns_what_the_last_layer_leaves() -> None:
    frames = emt_frames(3)
    surrogate = CompositeSurrogate(ToySurrogate())
    report = STACK.build(surrogate).update(frames)
    assert report.tuner == "last_layer+residual_gp"
    assert surrogate.corrections == ("last_layer", "residual_gp")
    assert force_rmse(surrogate, frames) < 0.2 * force_rmse(taught(LastLayerSpec(), frames), frames)


@pytest.mark.parametrize(("window", "count"), [(1, 1), (2, 2), (9, 4), (None, 4)])
def test_the_window_counts_newest_labels(window: int | None, count: int) -> None:
    frames, unseen = emt_frames(4), emt_frames(1, first=30)[0].atoms
    said, expected = (
        taught(LastLayerSpec(window=window), frames).predict(unseen),
        taught(LastLayerSpec(), frames[-count:]).predict(unseen),
    )
    assert np.array_equal(said.forces, expected.forces)
    assert said.energy == expected.energy


def test_each_label_is_read_once_while_nothing_below_changes() -> None:
    toy, frames = CountingToy(), emt_frames(3)
    tuner = LastLayerSpec().build(CompositeSurrogate(toy))
    for count in (1, 2, 3, 3):
        tuner.update(frames[:count])
        assert toy.asked == count


def test_labels_are_read_again_when_the_network_was_trained() -> None:
    frames = emt_frames(2)
    toy = CountingToy()
    surrogate = CompositeSurrogate(toy)
    tuner = LastLayerSpec().build(surrogate)
    tuner.update(frames)
    GradientSpec(head=("backbone.*",), epochs=3, learning_rate=1e-2).build(surrogate).update(frames)
    toy.asked = 0
    tuner.update(frames)
    assert toy.asked == 2
    fresh = CompositeSurrogate(toy)
    LastLayerSpec().build(fresh).update(frames)
    unseen = emt_frames(1, first=30)[0].atoms
    found, expected = surrogate.predict(unseen), fresh.predict(unseen)
    assert found.forces == pytest.approx(expected.forces, abs=1e-9)


def test_uncertainty_of_what_stands_below_is_replaced() -> None:
    surrogate = CompositeSurrogate(ToySurrogate())
    surrogate.correct("sure", Sure())
    LastLayerSpec().build(surrogate).update(emt_frames(2))
    std = surrogate.predict(emt_frames(1, first=30)[0].atoms).forces_std
    assert std is not None
    assert std[4:].min() > 1e-4


class Sure:
    """Claims to know everything."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        return replace(below, energy_std=0.0, forces_std=np.zeros_like(below.forces))


def test_another_number_of_atoms_is_refused() -> None:
    surrogate = taught(LastLayerSpec(), emt_frames(1))
    with pytest.raises(SurrogateError, match="has 12 atoms but the labels have 13; train"):
        surrogate.predict(emt_frames(1)[0].atoms[:12])


def test_a_label_without_free_atoms_is_refused() -> None:
    (frame,) = emt_frames(1)
    frame.atoms.set_constraint(FixAtoms(range(len(frame.atoms))))
    with pytest.raises(FineTuningError, match="0 free atoms but learning needs at least 1"):
        taught(LastLayerSpec(), [frame])


def test_a_prior_without_a_last_layer_is_refused() -> None:
    surrogate = CompositeSurrogate(AseSurrogate("ase.calculators.emt:EMT", {}))
    with pytest.raises(ValueError, match=r"a AseSurrogate does not show .*ResidualGPSpec"):
        LastLayerSpec().build(surrogate)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("window", 0, "at least 1, or None for all"),
        ("noise", [0.0, 1.0], "two positive bounds, the lower one first"),
        ("prior", [2.0, 1.0], "two positive bounds, the lower one first"),
        ("noise", [1.0], "two positive bounds, the lower one first"),
    ],
)
def test_settings_outside_their_rule_are_refused(field: str, value: object, rule: str) -> None:
    document = LastLayerSpec().as_dict() | {field: value}
    with pytest.raises(ValueError, match=f"`{field}` is .* but must be {rule}"):
        LastLayerSpec.from_dict(document)


@pytest.mark.parametrize("spec", [LastLayerSpec(), FIXED, STACK])
def test_spec_survives_json(spec: LastLayerSpec | StackSpec) -> None:
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec
