"""The training of `adapt`, epoch by epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import huber_loss
from torch.optim import Adam

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.batches import PickBatches
from finetuna_flows.finetuning.dataset import System
from finetuna_flows.finetuning.heads import only_trainable
from finetuna_flows.finetuning.loss import EnergyReference, Sample
from finetuna_flows.finetuning.progress import Progress, Weights
from finetuna_flows.finetuning.recipe import CHECKPOINT, AdaptRecipe, AdaptReport, SystemErrors
from finetuna_flows.protocols import TrainableSurrogate

logger = logging.getLogger(__name__)


class Training:
    """Moves the weights of a surrogate, which it leaves at the best ones.

    Parameters
    ----------
    surrogate
        What is trained.
    names
        Of the parameters that move.
    systems
        All of them.
    held_out
        Indices of those that validate.
    recipe
        How.
    pick
        Chooses the frames of each batch.
    """

    def __init__(
        self,
        surrogate: TrainableSurrogate,
        names: Sequence[str],
        systems: Sequence[System],
        held_out: frozenset[int],
        recipe: AdaptRecipe,
        pick: PickBatches,
    ) -> None:
        self._surrogate = surrogate
        self._systems = systems
        self._held_out = held_out
        self._recipe = recipe
        self._pick = pick
        self._names = names

    @cached_property
    def _samples(self) -> list[list[Sample]]:
        """Of each system; energies count from the mean of its labels."""
        samples = []
        for system in self._systems:
            mean = float(np.mean([frame.label.force_energy for frame in system.frames]))
            zero = EnergyReference(parent=mean, surrogate=0.0)
            samples.append([Sample.from_frame(self._surrogate, f, zero) for f in system.frames])
        return samples

    @cached_property
    def _training_frames(self) -> list[tuple[int, Sample]]:
        """Each with the index of its system."""
        return [
            (index, sample)
            for index, samples in enumerate(self._samples)
            if index not in self._held_out
            for sample in samples
        ]

    def run(self, progress: Progress | None, identity: str, directory: Path | None) -> AdaptReport:
        """Go on from `progress`, or begin; a checkpoint in `directory` after every epoch.

        Raises
        ------
        FineTuningError
            If the loss is not finite, or no epoch made the held-out systems' forces better.
        """
        recipe = self._recipe
        with only_trainable(self._surrogate, self._names) as weights:
            optimizer = Adam(weights, lr=recipe.learning_rate)
            if progress is None:
                progress = self._begin(identity)
            else:
                logger.info("%d epochs are taken from the checkpoint", progress.epoch)
                self._load(progress.weights)
                if progress.optimizer:
                    optimizer.load_state_dict(progress.optimizer)
            while not self._finished(progress):
                try:
                    loss = self._train_epoch(optimizer, progress)
                    error = self._validation_error()
                    if not np.isfinite(error):
                        raise self._diverged("validation error", error, progress)
                except FineTuningError:
                    self._load(progress.best)
                    raise
                progress.losses.append(loss)
                progress.weights = self._kept()
                progress.optimizer = optimizer.state_dict()
                progress.errors.append(error)
                if progress.best_epoch == progress.epoch:
                    progress.best = progress.weights
                if directory is not None:
                    progress.write(directory)
                self._log(progress)
            self._load(progress.best)
            return self._report(progress)

    def _begin(self, identity: str) -> Progress:
        now = self._kept()
        before = [self._error(samples) for samples in self._samples]
        progress = Progress(identity, before, [self._validation_error()], now, now)
        logger.info(
            "%d frames of %d systems, %d systems held out",
            sum(map(len, self._samples)),
            len(self._systems),
            len(self._held_out),
        )
        logger.info("%5s  %10s  %14s  %7s", "epoch", "loss", "error, eV/Å", "best")
        logger.info("%5d  %10s  %14.4f  %7d", 0, "", progress.errors[0], 0)
        return progress

    def _finished(self, progress: Progress) -> bool:
        waited = progress.epoch - progress.best_epoch
        return progress.epoch >= self._recipe.epochs or waited >= self._recipe.patience

    def _train_epoch(self, optimizer: Adam, progress: Progress) -> float:
        """One pass over the training frames; returns the mean loss.

        Raises
        ------
        FineTuningError
            If it is not finite.
        """
        frames = self._training_frames
        epoch = progress.epoch + 1
        rng = np.random.default_rng([self._recipe.seed, epoch])
        systems = [index for index, _ in frames]
        total, count = 0.0, 0
        for batch in self._pick(systems, self._recipe.batch, rng):
            optimizer.zero_grad()
            alike: dict[int, list[Sample]] = {}
            for number in batch:
                index, sample = frames[number]
                alike.setdefault(index, []).append(sample)
            for samples in alike.values():  # the graphs of one system at a time in memory
                loss = self._loss(samples)
                total, count = total + loss.item(), count + len(samples)
                torch.autograd.backward(loss / len(batch))
            if not np.isfinite(total):
                raise self._diverged("loss", total, progress)
            optimizer.step()
        return total / count

    def _diverged(self, what: str, value: float, progress: Progress) -> FineTuningError:
        way_out = "lower it and start in another directory"
        if progress.best_epoch > 0:
            way_out += (
                f", or resume from {CHECKPOINT} with `epochs` set to {progress.epoch} to have the "
                f"weights of epoch {progress.best_epoch}"
            )
        return FineTuningError(
            f"the {what} is {value} in epoch {progress.epoch + 1}; `learning_rate` is "
            f"{self._recipe.learning_rate}, {way_out}"
        )

    def _loss(self, samples: Sequence[Sample]) -> Tensor:
        """Sum of the losses of frames of one system, whose energies count from their mean error."""
        predicted = [self._surrogate.evaluate(sample.prepared) for sample in samples]
        delta, weight = self._recipe.delta, self._recipe.energy_weight
        losses = [
            huber_loss(forces[sample.free], sample.forces[sample.free], delta=delta)
            for sample, (_, forces) in zip(samples, predicted, strict=True)
        ]
        if weight and len(samples) > 1:
            gaps = torch.stack(
                [energy - each.energy for each, (energy, _) in zip(samples, predicted, strict=True)]
            )
            off = (gaps - gaps.mean()) / len(samples[0].free)
            losses.append(
                weight * huber_loss(off, torch.zeros_like(off), reduction="sum", delta=delta)
            )
        return torch.stack(losses).sum()

    def _error(self, samples: Sequence[Sample]) -> float:
        """Root mean square error over free components, mean over frames, in eV/Å."""
        errors = []
        for sample in samples:
            _, forces = self._surrogate.evaluate(sample.prepared)
            off = (forces.detach() - sample.forces)[sample.free].double()
            errors.append(off.square().mean().sqrt().item())
        return float(np.mean(errors))

    def _validation_error(self) -> float:
        return self._error([s for index in sorted(self._held_out) for s in self._samples[index]])

    def _report(self, progress: Progress) -> AdaptReport:
        if progress.best_epoch == 0:
            raise FineTuningError(
                f"the held-out systems' force error was {progress.errors[0]:.4f} eV/Å before and "
                f"{min(progress.errors[1:]):.4f} at best of {progress.epoch} epochs but must fall; "
                "lower `learning_rate`, or add systems that resemble each other"
            )
        after = [self._error(samples) for samples in self._samples]
        systems = (
            SystemErrors(system.name, len(system.frames), index in self._held_out, *errors)
            for index, (system, *errors) in enumerate(
                zip(self._systems, progress.before, after, strict=True)
            )
        )
        return AdaptReport(tuple(systems), tuple(progress.errors), tuple(progress.losses))

    def _kept(self) -> Weights:
        named = dict(self._surrogate.named_parameters())
        return {name: named[name].detach().cpu().clone() for name in self._names}

    def _load(self, weights: Weights) -> None:
        named: dict[str, Parameter] = dict(self._surrogate.named_parameters())
        with torch.no_grad():
            for name, values in weights.items():
                named[name].copy_(values)

    def _log(self, progress: Progress) -> None:
        row = progress.epoch, progress.losses[-1], progress.errors[-1], progress.best_epoch
        logger.info("%5d  %10.5f  %14.4f  %7d", *row)
