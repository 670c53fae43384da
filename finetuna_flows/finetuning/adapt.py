"""Adapt a surrogate to labels of many systems before it meets a new one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

import numpy as np
from monty.json import MontyEncoder

from finetuna_flows.finetuning.batches import PickBatches, paired, shuffled
from finetuna_flows.finetuning.dataset import by_system, hold_out
from finetuna_flows.finetuning.heads import head_names
from finetuna_flows.finetuning.progress import read_progress
from finetuna_flows.finetuning.recipe import AdaptRecipe, AdaptReport
from finetuna_flows.finetuning.training import Training
from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame


@dataclass(frozen=True)
class Adapted:
    """A surrogate that has learned, and how that went."""

    surrogate: TrainableSurrogate
    """With the weights that did best on the held-out systems."""
    report: AdaptReport


def finetune_surrogate(
    frames: Sequence[Frame],
    spec: Spec[Surrogate],
    recipe: AdaptRecipe | None = None,
    *,
    directory: Path | None = None,
    pick: PickBatches | None = None,
) -> Adapted:
    """Train a surrogate on labels of many systems, validated by systems that it does not see.

    All frames are turned into the surrogate's input once and stay in memory.

    Parameters
    ----------
    frames
        Of at least two systems. What belongs to one system is seen by formula and cell.
    spec
        A surrogate that has weights.
    recipe
        None: the defaults.
    directory
        Gets a checkpoint after every epoch. One that is there already is gone on from: the end is
        the same to the last bit as without the interruption. None: no checkpoint.
    pick
        Chooses the frames of each batch; energies are compared within it. It must depend on its
        arguments alone, and on resuming it must be the same: that cannot be checked. None:
        `shuffled`, or `paired` where energies count.

    Raises
    ------
    ValueError
        If the surrogate has no weights, a pattern matches none, or there is only one system.
    SurrogateError
        If the surrogate does not know an element.
    FineTuningError
        If the loss is not finite, or no epoch made the held-out systems' forces better.
    CheckpointError
        If the directory holds the checkpoint of another training.
    """
    recipe = recipe or AdaptRecipe()
    for index, frame in enumerate(frames):
        if not free_components(frame.atoms).any():
            raise ValueError(f"frame {index} has 0 free atoms but learning needs at least 1")
    systems = by_system(frames)
    held_out = hold_out(systems, recipe.validation, recipe.seed)
    surrogate = spec.build()
    if not isinstance(surrogate, TrainableSurrogate):
        raise ValueError(
            f"a {type(surrogate).__name__} has no weights to train; use one that has, "
            "such as CHGNetSpec()"
        )
    identity = _identity(frames, spec, recipe, surrogate)
    progress = read_progress(directory, identity) if directory else None
    usual = paired if recipe.energy_weight else shuffled
    names = trained_names(surrogate, recipe)
    training = Training(surrogate, names, systems, held_out, recipe, pick or usual)
    return Adapted(surrogate, training.run(progress, identity, directory))


def trained_names(surrogate: TrainableSurrogate, recipe: AdaptRecipe) -> tuple[str, ...]:
    """Names of the parameters that the recipe trains.

    Raises
    ------
    ValueError
        If a pattern of `train` matches no parameter, or none is left to train.
    """
    every = tuple(name for name, _ in surrogate.named_parameters())
    wanted = every if recipe.train is None else head_names(surrogate, recipe.train)
    names = tuple(n for n in wanted if not any(fnmatchcase(n, p) for p in recipe.frozen))
    if not names:
        raise ValueError(
            f"`frozen` is {recipe.frozen} and leaves none of {len(wanted)} parameters to train"
        )
    return names


def _identity(
    frames: Sequence[Frame],
    spec: Spec[Surrogate],
    recipe: AdaptRecipe,
    surrogate: TrainableSurrogate,
) -> str:
    """Hash all that decides the weights of an epoch; a spec's name can come to mean other ones."""
    settings = {k: v for k, v in recipe.as_dict().items() if k not in ("epochs", "patience")}
    text = json.dumps([settings, spec], cls=MontyEncoder, sort_keys=True)
    digest = sha256(text.encode())
    for name, weight in surrogate.named_parameters():
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().numpy().tobytes())
    for frame in frames:
        digest.update(frame.atoms.numbers.tobytes() + frame.atoms.pbc.tobytes())
        for values in (frame.atoms.cell.array, frame.atoms.positions, frame.label.forces):
            digest.update(values.tobytes())
        digest.update(np.array([frame.label.force_energy]).tobytes())
        digest.update(free_components(frame.atoms).tobytes())
    return digest.hexdigest()
