"""Gradient descent on the head: it learns, moves nothing else, and keeps what it learned."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner, Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.ase_prior import AseSurrogate
from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.tuner import FineTunerContract, force_rmse
from tests.finetuning.emt_frames import emt_frames

QUICK = GradientSpec(learning_rate=3e-3, epochs=30)


def weights_of(surrogate: Surrogate) -> dict[str, torch.Tensor]:
    assert isinstance(surrogate, TrainableSurrogate)
    return {name: weight.detach().clone() for name, weight in surrogate.named_parameters()}


class TestNewestLabelOnly(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        return QUICK.build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


class TestAllLabelsAndEnergies(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(ToySurrogate(seed=1))
        spec = GradientSpec(learning_rate=3e-3, epochs=30, window=None, energy_weight=1.0)
        return spec.build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


def test_ten_labels_teach_a_random_model_forces_it_has_not_seen() -> None:
    bar = 0.15  # eV/Å; a fifth of the forces' own root mean square
    unseen = emt_frames(5, first=100)
    surrogate = CompositeSurrogate(ToySurrogate())
    tuner = GradientSpec(learning_rate=1e-2, epochs=60, window=None).build(surrogate)
    assert np.sqrt(np.mean([np.mean(f.label.forces**2) for f in unseen])) > 4 * bar
    assert force_rmse(surrogate, unseen) > bar
    tuner.update(emt_frames(10))
    assert force_rmse(surrogate, unseen) < bar


def test_the_papers_recipe_learns_the_newest_label() -> None:
    surrogate = CompositeSurrogate(ToySurrogate())
    report = GradientSpec().build(surrogate).update(emt_frames(2))
    assert report.n_frames == 1
    assert report.epochs == 400
    assert report.force_rmse_after < 0.2 * report.force_rmse_before


def test_only_the_head_moves() -> None:
    toy = ToySurrogate()
    before = weights_of(toy)
    QUICK.build(CompositeSurrogate(toy)).update(emt_frames(1))
    moved = {name for name, weight in weights_of(toy).items() if not weight.equal(before[name])}
    assert moved == {"head.weight"}  # forces do not tell a constant
    assert not any(weight.requires_grad for _, weight in toy.named_parameters())


def test_other_weights_move_where_they_are_named() -> None:
    toy = ToySurrogate()
    before = weights_of(toy)
    spec = GradientSpec(head=("backbone.radial",), epochs=3)
    spec.build(CompositeSurrogate(toy)).update(emt_frames(1))
    moved = {name for name, weight in weights_of(toy).items() if not weight.equal(before[name])}
    assert moved == {"backbone.radial"}


def test_an_update_goes_on_where_the_last_one_ended() -> None:
    surrogate = CompositeSurrogate(ToySurrogate())
    tuner = QUICK.build(surrogate)
    frames = emt_frames(1)
    first = tuner.update(frames)
    between = weights_of(surrogate.prior)
    second = tuner.update(frames)
    assert second.force_rmse_before == first.force_rmse_after
    assert not weights_of(surrogate.prior)["head.weight"].equal(between["head.weight"])


@pytest.mark.parametrize(("window", "count"), [(1, 1), (2, 2), (7, 4), (None, 4)])
def test_the_window_counts_newest_labels(window: int | None, count: int) -> None:
    spec = GradientSpec(epochs=1, window=window)
    frames = emt_frames(4)
    reports = []
    for labels in (frames, frames[-count:]):
        surrogate = CompositeSurrogate(ToySurrogate())
        reports.append(spec.build(surrogate).update(labels))
        assert reports[-1].n_frames == count
    assert reports[0].force_rmse_after == reports[1].force_rmse_after


def test_energies_are_learned_where_they_weigh() -> None:
    frames, errors, toy = emt_frames(4), [], ToySurrogate()
    start = toy.predict(frames[0].atoms).energy - frames[0].label.energy
    spec = GradientSpec(("head.bias",), 3e-3, epochs=20, window=None, energy_weight=1.0)
    tuner = spec.build(CompositeSurrogate(toy))
    for _ in range(2):
        gaps = [toy.predict(frame.atoms).energy - frame.label.energy for frame in frames]
        errors.append(np.mean(np.abs(np.array(gaps) - start)))
        tuner.update(frames)
    assert errors[1] < 0.7 * errors[0]  # the constant alone; it cannot remove their spread


def test_chgnets_head_learns_and_its_backbone_rests() -> None:
    chgnet = CHGNetSurrogate()
    before = weights_of(chgnet)
    surrogate = CompositeSurrogate(chgnet)
    frames = emt_frames(1)
    report = GradientSpec(learning_rate=3e-3, epochs=25).build(surrogate).update(frames)
    assert report.force_rmse_after < 0.8 * report.force_rmse_before
    after = weights_of(chgnet)
    moved = {name.split(".")[0] for name in after if not after[name].equal(before[name])}
    assert moved == {"mlp", "readout_norm"}
    assert not any(weight.requires_grad for _, weight in chgnet.named_parameters())
    assert surrogate.predict(frames[0].atoms).energy == pytest.approx(
        frames[0].label.energy, abs=1e-4
    )


def test_an_update_ends_early_when_the_learning_rate_is_used_up() -> None:
    spec = GradientSpec(
        learning_rate=1e-2, min_learning_rate=5e-3, factor=0.1, patience=0, epochs=200
    )
    report = spec.build(CompositeSurrogate(ToySurrogate())).update(emt_frames(1))
    assert report.epochs is not None
    assert 1 < report.epochs < 200


def test_a_loss_that_is_not_finite_is_refused_and_the_weights_are_kept() -> None:
    toy = ToySurrogate()
    before = weights_of(toy)
    tuner = GradientSpec(learning_rate=1e300).build(CompositeSurrogate(toy))
    with pytest.raises(FineTuningError, match=r"loss is (inf|nan) in epoch 2 .* 1e\+300, lower it"):
        tuner.update(emt_frames(1))
    assert all(weight.equal(before[name]) for name, weight in weights_of(toy).items())


def test_a_label_without_free_atoms_is_refused() -> None:
    (frame,) = emt_frames(1)
    frame.atoms.set_constraint(FixAtoms(range(len(frame.atoms))))
    with pytest.raises(FineTuningError, match="0 free atoms but learning needs at least 1"):
        QUICK.build(CompositeSurrogate(ToySurrogate())).update([frame])


def test_a_prior_without_weights_is_refused() -> None:
    surrogate = CompositeSurrogate(AseSurrogate("ase.calculators.emt:EMT", {}))
    with pytest.raises(ValueError, match=r"a AseSurrogate has no weights .*ResidualGPSpec"):
        GradientSpec().build(surrogate)


def test_a_pattern_that_matches_nothing_is_refused_before_any_label() -> None:
    with pytest.raises(ValueError, match=r"'mlp[.][*]', which matches none .* head.weight"):
        GradientSpec(head=("mlp.*",)).build(CompositeSurrogate(ToySurrogate()))


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("learning_rate", 0.0, "positive"),
        ("min_learning_rate", -1e-7, "zero or more"),
        ("epochs", 0, "at least 1"),
        ("factor", 1.0, "between 0 and 1"),
        ("patience", -1, "zero or more"),
        ("window", 0, "at least 1, or None for all"),
        ("energy_weight", -1.0, "zero or more"),
    ],
)
def test_settings_outside_their_rule_are_refused(field: str, value: float, rule: str) -> None:
    document = GradientSpec().as_dict() | {field: value}
    with pytest.raises(ValueError, match=f"`{field}` is {value} but must be {rule}"):
        GradientSpec.from_dict(document)


@pytest.mark.parametrize(
    "spec", [GradientSpec(), GradientSpec(head=("mlp.*", "norm.?"), window=None, energy_weight=0.1)]
)
def test_spec_survives_json(spec: GradientSpec) -> None:
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec


def test_free_energy_is_not_mistaken_for_the_energy() -> None:
    (frame,) = emt_frames(1)
    label = Label(frame.label.energy, frame.label.forces, free_energy=frame.label.energy - 0.04)
    surrogate = CompositeSurrogate(ToySurrogate())
    QUICK.build(surrogate).update([Frame(frame.atoms, label)])
    assert surrogate.predict(frame.atoms).energy == pytest.approx(label.energy)
