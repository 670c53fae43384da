"""Where an adaptation stands after an epoch, on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from finetuna_flows.errors import CheckpointError
from finetuna_flows.finetuning.recipe import CHECKPOINT, best_epoch

Weights = dict[str, Tensor]


@dataclass
class Progress:
    """All that the next epoch depends on, besides frames and recipe."""

    identity: str
    """Of surrogate, frames and recipe: what the checkpoint belongs to."""
    before: list[float]
    """Force error of each system before the training, eV/Å."""
    errors: list[float]
    """Validation error before the training and after each epoch, eV/Å."""
    best: Weights
    """Trained weights where that was smallest."""
    weights: Weights
    """The newest ones."""
    losses: list[float] = field(default_factory=list)
    """Mean loss in each epoch."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    """State of Adam; empty before the first epoch."""

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.losses)

    @property
    def best_epoch(self) -> int:
        """The epoch of the best weights; 0 before the training."""
        return best_epoch(self.errors)

    def write(self, directory: Path) -> None:
        """Replace the checkpoint in `directory`, whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / f"{CHECKPOINT}.{os.getpid()}.part"
        with part.open("wb") as stream:
            torch.save({each.name: getattr(self, each.name) for each in fields(self)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(directory / CHECKPOINT)


def read_progress(directory: Path, identity: str) -> Progress | None:
    """Read the checkpoint in `directory`; None where there is none.

    Raises
    ------
    CheckpointError
        If it is damaged, or belongs to other frames, another surrogate or another recipe.
    """
    file = directory / CHECKPOINT
    if not file.exists():
        return None
    try:
        progress = Progress(**torch.load(file, map_location="cpu", weights_only=True))
    except (RuntimeError, UnpicklingError, EOFError, TypeError) as exc:
        raise CheckpointError(
            f"{file} cannot be read ({exc}); delete it to start the training anew"
        ) from exc
    if progress.identity != identity:
        raise CheckpointError(
            f"{file} belongs to other frames, another surrogate or another recipe (only `epochs` "
            "and `patience` may change); train in another directory, or delete it"
        )
    return progress
