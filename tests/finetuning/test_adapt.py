"""Adapting a surrogate to several systems: it must help on systems that it has not seen."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import CheckpointError, FineTuningError
from finetuna_flows.finetuning.adapt import Adapted, finetune_surrogate, trained_names
from finetuna_flows.finetuning.batches import paired, shuffled
from finetuna_flows.finetuning.dataset import by_system, hold_out
from finetuna_flows.finetuning.recipe import (
    CHECKPOINT,
    AdaptRecipe,
    AdaptReport,
    SystemErrors,
    best_epoch,
)
from finetuna_flows.geometry import Array, free_components
from finetuna_flows.protocols import Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.specs import AseSurrogateSpec, CHGNetSpec, SavedSpec, ToySpec
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.finetuning.copper_surfaces import copper_frames, frames_of, surfaces

RECIPE = AdaptRecipe(learning_rate=5e-3, epochs=4, patience=4, validation=0.3)
FRAMES = copper_frames()


def weights(adapted: Adapted) -> dict[str, Array]:
    named = adapted.surrogate.named_parameters()
    return {name: weight.detach().numpy() for name, weight in named}


def error(surrogate: Surrogate, frames: Sequence[Frame]) -> float:
    """By `predict` and numpy: root mean square over free components, mean over frames, eV/Å."""
    errors = []
    for frame in frames:
        off = surrogate.predict(frame.atoms).forces - frame.label.forces
        errors.append(np.sqrt(np.mean(off[free_components(frame.atoms)] ** 2)))
    return float(np.mean(errors))


def test_systems_that_it_never_saw_profit() -> None:
    *known, unknown = surfaces()
    unseen = frames_of(unknown, 3)
    frames = [frame for atoms in known for frame in frames_of(atoms, 3)]
    adapted = finetune_surrogate(frames, ToySpec(), replace(RECIPE, epochs=10, patience=10))
    before, after = error(ToySurrogate(), unseen), error(adapted.surrogate, unseen)
    assert after < 0.6 * before


def test_the_report_says_what_predictions_say() -> None:
    adapted = finetune_surrogate(FRAMES, ToySpec(), RECIPE)
    report = adapted.report
    held_out = []
    for index, system in enumerate(report.systems):
        frames = FRAMES[3 * index : 3 * index + 3]
        held_out += frames if system.held_out else []
        assert system.n_frames == 3
        assert system.before == pytest.approx(error(ToySurrogate(), frames), abs=1e-9)
        assert system.after == pytest.approx(error(adapted.surrogate, frames), abs=1e-9)
    assert len(held_out) == 6
    assert report.errors[0] == pytest.approx(error(ToySurrogate(), held_out), abs=1e-9)
    best = report.errors[report.best_epoch]
    assert best == min(report.errors) == pytest.approx(error(adapted.surrogate, held_out), abs=1e-9)
    assert len(report.errors) == len(report.losses) + 1 == 5


def test_held_out_systems_are_not_learned_from() -> None:
    """Their labels decide at most when to stop."""
    report = finetune_surrogate(FRAMES, ToySpec(), RECIPE).report
    altered = []
    for index, frame in enumerate(FRAMES):
        forces = frame.label.forces * (1.1 if report.systems[index // 3].held_out else 1.0)
        altered.append(Frame(frame.atoms, Label(frame.label.energy, forces)))
    other = finetune_surrogate(altered, ToySpec(), RECIPE).report
    assert other.losses == report.losses
    assert other.errors != report.errors


def test_fixed_atoms_and_the_zero_of_energy_do_not_count() -> None:
    recipe = replace(RECIPE, energy_weight=1.0)
    report = finetune_surrogate(FRAMES, ToySpec(), recipe).report
    altered = []
    for index, frame in enumerate(FRAMES):
        forces = np.where(free_components(frame.atoms), frame.label.forces, 9.0)
        shifted = frame.label.energy - 100.0 * (1 + index // 3)
        altered.append(Frame(frame.atoms, Label(shifted, forces)))
    other = finetune_surrogate(altered, ToySpec(), recipe).report
    assert other.losses == pytest.approx(report.losses, rel=1e-9)
    assert other.errors == pytest.approx(report.errors, rel=1e-9)


def test_energies_teach_energy_differences() -> None:
    """Of frames of one system; the same forces alone teach them less."""
    spread = []
    for weight in (0.0, 30.0):
        recipe = replace(RECIPE, energy_weight=weight, epochs=8, patience=8)
        adapted = finetune_surrogate(FRAMES, ToySpec(), recipe)
        off = np.array(
            [adapted.surrogate.predict(f.atoms).energy - f.label.energy for f in FRAMES]
        ).reshape(-1, 3)
        trained = [not system.held_out for system in adapted.report.systems]
        spread.append(float(off[trained].std(axis=1).mean()))
    assert spread[1] < 0.8 * spread[0]


def test_the_same_seed_gives_the_same_weights() -> None:
    one, same, other = (
        weights(
            finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, epochs=2, patience=2, seed=seed))
        )
        for seed in (0, 0, 1)
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_a_resumed_training_ends_as_one_that_was_not_interrupted(tmp_path: Path) -> None:
    recipe = replace(RECIPE, energy_weight=1.0)
    whole = finetune_surrogate(FRAMES, ToySpec(), recipe)
    finetune_surrogate(FRAMES, ToySpec(), replace(recipe, epochs=2), directory=tmp_path)
    resumed = finetune_surrogate(FRAMES, ToySpec(), recipe, directory=tmp_path)
    assert resumed.report == whole.report
    ours, theirs = weights(resumed), weights(whole)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_a_finished_training_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    first = finetune_surrogate(FRAMES, ToySpec(), RECIPE, directory=tmp_path)
    written = (tmp_path / CHECKPOINT).read_bytes()
    again = finetune_surrogate(FRAMES, ToySpec(), RECIPE, directory=tmp_path)
    assert again.report == first.report
    assert (tmp_path / CHECKPOINT).read_bytes() == written
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1)
    finetune_surrogate(FRAMES, ToySpec(), recipe, directory=tmp_path)
    moved = FRAMES[0].atoms.copy()
    moved.positions[-1] += 1e-6
    others = (
        (FRAMES, ToySpec(), replace(recipe, batch=2)),
        (FRAMES, ToySpec(seed=1), recipe),
        ([Frame(moved, FRAMES[0].label), *FRAMES[1:]], ToySpec(), recipe),
    )
    for frames, spec, other in others:
        with pytest.raises(CheckpointError, match="belongs to other frames, another surrogate"):
            finetune_surrogate(frames, spec, other, directory=tmp_path)


def test_a_checkpoint_of_a_surrogate_that_was_replaced_is_refused(tmp_path: Path) -> None:
    """Under the same name there are other weights now."""
    spec, recipe = SavedSpec(str(tmp_path / "toy")), replace(RECIPE, epochs=1)
    spec.write(ToySpec(), ToySurrogate(), {})
    finetune_surrogate(FRAMES, spec, recipe, directory=tmp_path)
    spec.write(ToySpec(), ToySurrogate(seed=1), {}, overwrite=True)
    with pytest.raises(CheckpointError, match="belongs to other frames, another surrogate"):
        finetune_surrogate(FRAMES, spec, RECIPE, directory=tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, epochs=1), directory=tmp_path)
    file = tmp_path / CHECKPOINT
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cannot be read .* delete it to start"):
        finetune_surrogate(FRAMES, ToySpec(), RECIPE, directory=tmp_path)


def test_an_epoch_that_is_better_by_rounding_alone_is_not_kept() -> None:
    assert best_epoch([0.3, 0.2, 0.2 - 1e-9, 0.25, 0.2 - 2e-9]) == 1
    assert best_epoch([0.3, 0.2, 0.19, 0.19]) == 2
    assert best_epoch([0.3, 0.3 - 1e-9]) == 0


def test_it_stops_when_the_held_out_systems_no_longer_profit() -> None:
    recipe = replace(RECIPE, epochs=40, patience=2)
    report = finetune_surrogate(FRAMES, ToySpec(), recipe).report
    assert len(report.losses) == report.best_epoch + 2 < 40


def test_a_training_that_only_harms_is_refused() -> None:
    with pytest.raises(FineTuningError, match=r"force error was .* before and .* but must fall"):
        finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, learning_rate=30.0))


def test_after_a_loss_that_is_not_finite_the_best_weights_are_still_there(tmp_path: Path) -> None:
    """One label is so large that the loss overflows; the second epoch is the first to meet it."""
    recipe = replace(RECIPE, delta=1e3)
    held_out = hold_out(by_system(FRAMES), recipe.validation, recipe.seed)
    first = next(index for index in range(5) if index not in held_out)
    atoms = surfaces()[first]
    frames = [*FRAMES, Frame(atoms, Label(0.0, np.full((len(atoms), 3), 1e308)))]
    epochs = iter(range(9))

    def late(systems: Sequence[int], size: int, rng: np.random.Generator) -> list[list[int]]:
        epoch = next(epochs)
        return [[number] for number in range(len(systems)) if epoch > 0 or number != 3]

    with pytest.raises(FineTuningError, match=r"loss is inf in epoch 2; .* `epochs` set to 1"):
        finetune_surrogate(frames, ToySpec(), recipe, directory=tmp_path, pick=late)
    best = finetune_surrogate(frames, ToySpec(), replace(recipe, epochs=1), directory=tmp_path)
    assert best.report.best_epoch == 1
    assert error(best.surrogate, FRAMES) < error(ToySurrogate(), FRAMES)


def test_weights_that_overflow_are_told() -> None:
    recipe = replace(RECIPE, learning_rate=1e200)
    with pytest.raises(FineTuningError, match=r"in epoch 1; `learning_rate` is 1e\+200, lower it"):
        finetune_surrogate(FRAMES, ToySpec(), recipe)


def test_only_what_the_recipe_names_is_trained() -> None:
    before = dict(ToySurrogate().named_parameters())
    recipe = replace(RECIPE, train=("head.*",), frozen=("*.bias",), epochs=1)
    adapted = finetune_surrogate(FRAMES, ToySpec(), recipe)
    after = dict(adapted.surrogate.named_parameters())
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight"}
    assert not any(weight.requires_grad for weight in after.values())


def test_what_chgnet_says_of_a_composition_is_left_as_it_is() -> None:
    surrogate = CHGNetSpec().build()
    assert isinstance(surrogate, TrainableSurrogate)
    names = {name for name, _ in surrogate.named_parameters()}
    left = names - set(trained_names(surrogate, AdaptRecipe()))
    assert left
    assert all(name.startswith("composition_model.") for name in left)


def test_every_frame_is_picked_once() -> None:
    batches = shuffled([0, 0, 1, 1, 1, 2, 2], 3, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert sorted(number for batch in batches for number in batch) == list(range(7))
    assert batches != shuffled([0] * 7, 3, np.random.default_rng(1))


def test_pairs_are_of_one_system() -> None:
    systems = [0] * 5 + [1] * 4 + [2]
    batches = paired(systems, 4, np.random.default_rng(0))
    assert sorted(number for batch in batches for number in batch) == list(range(10))
    assert len(batches) == 3  # of two groups each, the last of one
    for batch in batches:
        for system, count in Counter(systems[number] for number in batch).items():
            assert count >= 2 or system == 2


def test_another_way_to_pick_is_told_the_systems() -> None:
    seen: list[Sequence[int]] = []

    def one_each(systems: Sequence[int], size: int, rng: np.random.Generator) -> list[list[int]]:
        seen.append(systems)
        return [[systems.index(system)] for system in set(systems)]

    report = finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, epochs=1), pick=one_each).report
    trained = [index for index, system in enumerate(report.systems) if not system.held_out]
    assert Counter(seen[0]) == dict.fromkeys(trained, 3)


def test_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="finetuna_flows"):
        report = finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, epochs=2)).report
    assert "15 frames of 5 systems, 2 systems held out" in caplog.text
    assert f"{report.losses[1]:10.5f}  {report.errors[2]:14.4f}" in caplog.text


def test_a_surrogate_without_weights_is_refused() -> None:
    spec = AseSurrogateSpec("ase.calculators.emt:EMT")
    with pytest.raises(ValueError, match="a AseSurrogate has no weights to train; use one"):
        finetune_surrogate(FRAMES, spec)


def test_one_system_is_refused() -> None:
    with pytest.raises(ValueError, match=r"frames of 1 system\(s\) but at least 2"):
        finetune_surrogate(FRAMES[:3], ToySpec())


def test_a_frame_without_free_atoms_is_refused() -> None:
    atoms = FRAMES[0].atoms.copy()
    atoms.set_constraint(FixAtoms(range(len(atoms))))
    with pytest.raises(ValueError, match="frame 1 has 0 free atoms but learning needs at least 1"):
        finetune_surrogate([FRAMES[0], Frame(atoms, FRAMES[0].label)], ToySpec())


def test_a_recipe_that_trains_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves none of 4 parameters to train"):
        finetune_surrogate(FRAMES, ToySpec(), replace(RECIPE, frozen=("*",)))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("learning_rate", 0.0, "positive"),
        ("epochs", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("batch", 0, "at least 1"),
        ("delta", 0.0, "positive"),
        ("energy_weight", -1.0, "zero or more"),
        ("validation", 1.0, "between 0 and 1"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused(name: str, value: float, rule: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value} but must be {rule}"):
        AdaptRecipe(**{name: value})  # type: ignore[arg-type]  # which field is a parameter


def test_recipe_and_report_survive_json() -> None:
    system = SystemErrors("Cu8", 3, held_out=True, before=0.5, after=0.1)
    for kept in (
        AdaptRecipe(train=("head.*",), seed=3),
        AdaptReport((system,), errors=(0.5, 0.1, 0.2), losses=(0.3, 0.1)),
    ):
        assert json.loads(json.dumps(kept, cls=MontyEncoder), cls=MontyDecoder) == kept
