"""The paper's way to learn: gradient descent on the surrogate's output head."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from ase import Atoms
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW
from torch.optim.lr_scheduler import ReduceLROnPlateau

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.cached import HeadInputs
from finetuna_flows.finetuning.heads import head_names, only_trainable
from finetuna_flows.finetuning.loss import EnergyReference, Sample, force_rmse
from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import (
    CacheableSurrogate,
    CorrectableSurrogate,
    MemberedSurrogate,
    TrainableSurrogate,
)
from finetuna_flows.records import FitReport, Frame, Prediction

logger = logging.getLogger(__name__)

CORRECTION = "energy_reference"
"""Name of the constant that puts the surrogate's energies onto the parent's scale."""


@dataclass(frozen=True)
class EnergyShift:
    """A constant on top of the energy; forces stay as they are."""

    shift: float
    """eV."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:  # noqa: ARG002 (the seam's)
        """Add it."""
        return replace(below, energy=below.energy + self.shift)


class GradientTuner:
    """Trains the output head of a surrogate's prior, and keeps what it has learned.

    Each update goes on from the weights of the last one with a new optimizer. All labels of
    the window make one batch, so an epoch is one step of AdamW. Prior and parent may count
    their energies from different zeros: the difference is taken at the first label before
    any training, and after each update a constant shift gives the surrogate the parent's
    energy at the newest label.

    Where only the prior's own head is trained, the rest of the model is passed once for each
    label and the epochs run on what enters the head. That is the same descent but for rounding:
    on two published systems CHGNet's forces parted by 1e-5 eV/Å in 20 epochs
    (``benchmarks/tuning_cost.py``).

    Parameters
    ----------
    spec
        The recipe.
    surrogate
        Its prior is trained; corrections on top are not looked at.

    Raises
    ------
    ValueError
        If the prior has no weights, or a pattern of the head matches none of them.
    """

    def __init__(self, spec: GradientSpec, surrogate: CorrectableSurrogate) -> None:
        prior = surrogate.prior
        if isinstance(prior, MemberedSurrogate):
            raise ValueError(
                f"a {type(prior).__name__} has members instead of weights of its own for gradient "
                "descent; put the GradientSpec into an EnsembleTunerSpec"
            )
        if not isinstance(prior, TrainableSurrogate):
            raise ValueError(
                f"a {type(prior).__name__} has no weights for gradient descent; "
                "use the Gaussian process on the residual (ResidualGPSpec)"
            )
        self._spec = spec
        self._surrogate = surrogate
        self._prior = prior
        self._head = head_names(prior, prior.head if spec.head is None else spec.head)
        self._reference: EnergyReference | None = None
        self._inputs: HeadInputs | None = None
        self._evaluate: Callable[[object], tuple[Tensor, Tensor]] = prior.evaluate
        if spec.cached and isinstance(prior, CacheableSurrogate):
            own = head_names(prior, prior.head)
            if set(self._head) <= set(own):
                self._inputs, self._evaluate = HeadInputs(prior, own), prior.evaluate_head

    @property
    def head_inputs(self) -> tuple[HeadInputs, ...]:
        """What it keeps of the labels' way through the network; empty where it trains on all."""
        return () if self._inputs is None else (self._inputs,)

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Train on the newest labels.

        Raises
        ------
        FineTuningError
            If there is no label, one without a free atom, or the loss is not finite; the
            weights are then those of before.
        """
        start = time.perf_counter()
        if not frames:
            raise FineTuningError("got 0 labels but learning needs at least 1")
        window = frames if self._spec.window is None else frames[-self._spec.window :]
        if not all(free_components(frame.atoms).any() for frame in window):
            raise FineTuningError("a label has 0 free atoms but learning needs at least 1")
        if self._reference is None:
            first = frames[0]
            energy = self._prior.predict(first.atoms).energy
            self._reference = EnergyReference(first.label.force_energy, energy)
        before = force_rmse(self._surrogate, window)
        epochs = self._train(self._samples(window, self._reference))
        below = self._surrogate.predict_below(CORRECTION, frames[-1].atoms)
        self._surrogate.correct(CORRECTION, EnergyShift(frames[-1].label.energy - below.energy))
        return FitReport(
            tuner="gradient",
            n_frames=len(window),
            force_rmse_before=before,
            force_rmse_after=force_rmse(self._surrogate, window),
            epochs=epochs,
            wall_time=time.perf_counter() - start,
        )

    def _samples(self, window: Sequence[Frame], reference: EnergyReference) -> list[Sample]:
        inputs = [None] * len(window) if self._inputs is None else self._inputs.read(window)
        return [
            Sample.from_frame(self._prior, frame, reference, prepared)
            for frame, prepared in zip(window, inputs, strict=True)
        ]

    def _train(self, samples: Sequence[Sample]) -> int:
        with only_trainable(self._prior, self._head) as weights:
            kept = [weight.detach().clone() for weight in weights]
            try:
                return self._descend(samples, weights)
            except FineTuningError:
                with torch.no_grad():
                    for weight, old in zip(weights, kept, strict=True):
                        weight.copy_(old)
                raise

    def _descend(self, samples: Sequence[Sample], weights: list[Parameter]) -> int:
        """Walk down the loss and return how many epochs that took."""
        spec = self._spec
        optimizer = AdamW(weights, lr=spec.learning_rate, weight_decay=0.0, fused=True)
        scheduler = ReduceLROnPlateau(optimizer, factor=spec.factor, patience=spec.patience)
        for epoch in range(1, spec.epochs + 1):
            optimizer.zero_grad()
            total = 0.0
            for sample in samples:  # one graph at a time in memory
                predicted = self._evaluate(sample.prepared)
                loss = sample.loss(*predicted, spec.energy_weight) / len(samples)
                torch.autograd.backward(loss)
                total += loss.item()
            if not torch.isfinite(torch.tensor(total)):
                raise FineTuningError(
                    f"the loss is {total} in epoch {epoch} of {spec.epochs}; "
                    f"`learning_rate` is {spec.learning_rate}, lower it"
                )
            optimizer.step()
            scheduler.step(total)
            logger.debug("epoch %4d  loss %.6f  lr %.2e", epoch, total, scheduler.get_last_lr()[0])
            if scheduler.get_last_lr()[0] < spec.min_learning_rate:
                break
        return epoch
