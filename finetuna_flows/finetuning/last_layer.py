"""Bayesian regression of the last layer of the surrogate's head, in closed form."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FineTuningError, SurrogateError
from finetuna_flows.finetuning.bayes_linear import Bounds, LinearPosterior, fit_linear
from finetuna_flows.finetuning.cached import geometry_key
from finetuna_flows.finetuning.specs import LastLayerSpec
from finetuna_flows.geometry import Array, Mask, free_components
from finetuna_flows.protocols import CorrectableSurrogate, LastLayerSurrogate, MemberedSurrogate
from finetuna_flows.records import FitReport, Frame, Prediction

logger = logging.getLogger(__name__)

NAME = "last_layer"


@dataclass(frozen=True)
class LastLayerCorrection:
    """A change of the weights of the last layer, known within a spread, and of the constant.

    Forces spread by what the weights may still be and by the noise, which is what no change of
    the last layer explains. The energy spreads by what it may differ from that of the newest
    label, the weights' part alone. Whatever uncertainty the prediction below states is replaced.
    """

    posterior: LinearPosterior
    surrogate: LastLayerSurrogate
    newest: Array
    """Inputs of the layer at the newest label, shape (p,)."""
    shift: float
    """eV; what the parent's energy there is above the prediction below."""
    free: Mask
    """Which components are corrected, shape (n, 3)."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        """Correct free components; the others are left as they are, with no spread.

        Raises
        ------
        SurrogateError
            If the atoms are not as many as those of the labels.
        """
        if len(atoms) != len(self.free):
            raise SurrogateError(
                f"the structure has {len(atoms)} atoms but the labels have {len(self.free)}; "
                "train a surrogate of its own for this structure"
            )
        inputs = self.surrogate.last_layer_inputs(atoms, self.free)
        way = inputs.values - self.newest
        spread = np.zeros(self.free.shape)
        of_weights = self.posterior.std(inputs.slopes[:, self.free].T)
        spread[self.free] = np.hypot(of_weights, self.posterior.noise)
        return Prediction(
            energy=below.energy + self.shift + float(self.posterior.mean @ way),
            forces=below.forces - np.tensordot(self.posterior.mean, inputs.slopes, axes=1),
            energy_std=float(self.posterior.std(way[None])[0]),
            forces_std=spread,
        )


@dataclass(frozen=True)
class _Known:
    """A label in the regression's language: N = d targets of p weights."""

    rows: Array
    """Minus the slopes of the layer's inputs by the free components in 1/Å, shape (d, p)."""
    below: Array
    """Free forces predicted below in eV/Å, shape (d,)."""
    values: Array
    """Inputs of the layer, shape (p,)."""


class LastLayerTuner:
    """Fits the weights of the last layer anew at each update; the network is not touched.

    The forces alone are learned from, so it does not matter from where parent and prior count
    their energies; the constant is set so that the newest label has the parent's energy. Each
    label is read once. What stands below may have been trained since: at each update the newest
    label that was known before is predicted again, and if a force differs, all are read again.

    Parameters
    ----------
    spec
        The recipe.
    surrogate
        Gets the correction ``last_layer``.

    Raises
    ------
    ValueError
        If the prior does not show what enters its last layer.
    """

    def __init__(self, spec: LastLayerSpec, surrogate: CorrectableSurrogate) -> None:
        prior = surrogate.prior
        if isinstance(prior, MemberedSurrogate):
            raise ValueError(
                f"a {type(prior).__name__} has members instead of a last layer of its own; "
                "put the LastLayerSpec into an EnsembleTunerSpec"
            )
        if not isinstance(prior, LastLayerSurrogate):
            raise ValueError(
                f"a {type(prior).__name__} does not show what enters its last layer; "
                "use the Gaussian process on the residual (ResidualGPSpec)"
            )
        self._spec = spec
        self._surrogate = surrogate
        self._prior = prior
        self._known: dict[bytes, _Known] = {}
        self._weights: Array | None = None

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Put the regression on the labels of the window in the place of the one before.

        Raises
        ------
        FineTuningError
            If there is no label, or one without a free atom.
        """
        began = perf_counter()
        if not frames:
            raise FineTuningError("got 0 labels but learning needs at least 1")
        window = frames if self._spec.window is None else frames[-self._spec.window :]
        known = self._read(window)
        rows = np.concatenate([each.rows for each in known])
        errors = np.concatenate(
            [
                frame.label.forces[free_components(frame.atoms)] - each.below
                for frame, each in zip(window, known, strict=True)
            ]
        )
        before = errors if self._weights is None else errors - rows @ self._weights
        posterior = fit_linear(
            rows, errors, noise=Bounds(*self._spec.noise), prior=Bounds(*self._spec.prior)
        )
        self._weights = posterior.mean
        self._correct(posterior, window[-1], known[-1])
        report = FitReport(
            tuner=NAME,
            n_frames=len(window),
            force_rmse_before=_rms(before),
            force_rmse_after=_rms(errors - rows @ posterior.mean),
            wall_time=perf_counter() - began,
        )
        logger.debug(
            "%s: %s; noise %.3g eV/Å, prior %.3g eV", NAME, report, posterior.noise, posterior.prior
        )
        return report

    def _correct(self, posterior: LinearPosterior, newest: Frame, known: _Known) -> None:
        below = self._surrogate.predict_below(NAME, newest.atoms).energy
        self._surrogate.correct(
            NAME,
            LastLayerCorrection(
                posterior=posterior,
                surrogate=self._prior,
                newest=known.values,
                shift=newest.label.energy - below,
                free=free_components(newest.atoms),
            ),
        )

    def _read(self, window: Sequence[Frame]) -> list[_Known]:
        """Ask for each label at most once; those outside the window are forgotten."""
        kept = {key: self._known[key] for key in map(_key, window) if key in self._known}
        again = [frame for frame in window if _key(frame) in kept]
        if again and not np.array_equal(self._below(again[-1]), kept[_key(again[-1])].below):
            kept.clear()
        for frame in window:
            if _key(frame) not in kept:
                kept[_key(frame)] = self._ask(frame)
        self._known = kept
        return [kept[_key(frame)] for frame in window]

    def _ask(self, frame: Frame) -> _Known:
        free = free_components(frame.atoms)
        if not free.any():
            raise FineTuningError("a label has 0 free atoms but learning needs at least 1")
        inputs = self._prior.last_layer_inputs(frame.atoms, free)
        return _Known(-inputs.slopes[:, free].T, self._below(frame), inputs.values)

    def _below(self, frame: Frame) -> Array:
        forces = self._surrogate.predict_below(NAME, frame.atoms).forces
        free: Array = forces[free_components(frame.atoms)]
        return free


def _key(frame: Frame) -> bytes:
    return geometry_key(frame.atoms)


def _rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))
