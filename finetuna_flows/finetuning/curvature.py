"""One number for a model whose potential is too soft or too stiff everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.below import PredictionsBelow
from finetuna_flows.finetuning.specs import CurvatureSpec
from finetuna_flows.geometry import Array, Mask, free_components
from finetuna_flows.protocols import CorrectableSurrogate
from finetuna_flows.records import FitReport, Frame, Prediction

NAME = "curvature"


@dataclass(frozen=True)
class CurvatureCorrection:
    """The potential below, stretched by a factor about its own value at one geometry.

    E(x) = E_parent(reference) + factor · [E_below(x) - E_below(reference)]; so all forces are
    stretched alike, and are minus the gradient of the energy if those below are. Standard
    deviations are stretched too.
    """

    factor: float
    energy_below: float
    """eV; at the reference, on the scale of what stands below."""
    energy_parent: float
    """eV; at the reference."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:  # noqa: ARG002 (the seam's)
        """Stretch it."""
        s = self.factor
        return Prediction(
            energy=self.energy_parent + s * (below.energy - self.energy_below),
            forces=s * below.forces,
            energy_std=None if below.energy_std is None else s * below.energy_std,
            forces_std=None if below.forces_std is None else s * below.forces_std,
        )


class CurvatureTuner:
    """Learns the factor from how forces change between labels that follow each other.

    With d_k, D_k the changes of the free force components from one label to the next, by what
    stands below and by the parent, (d_k · D_k) / (d_k · d_k) is the factor that fits this pair
    best. Constant errors of the forces drop out of it. Each pair counts as one measurement: the
    errors of its components belong to the same few wrong bonds, so they do not average out. Its
    variance is ``scatter``² + ``noise``² / mean(d_k²). The factor is the mean of the normal
    posterior that starts from 1 ± ``prior_std``, held within the bounds; with one label it is 1.

    The energy is the parent's at the newest label. What stands below is predicted once for each
    label, and anew for all of them when its prediction at a known label has changed.
    """

    def __init__(self, spec: CurvatureSpec, surrogate: CorrectableSurrogate) -> None:
        if not isinstance(surrogate, CorrectableSurrogate):
            raise ValueError(
                f"{type(surrogate).__name__} cannot be corrected; put it into a CompositeSurrogate"
            )
        self._spec = spec
        self._surrogate = surrogate
        self._below = PredictionsBelow(surrogate, NAME)
        self._factor = 1.0

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Put the factor that knows all labels in the place of the one before.

        The report counts the errors of this correction on what stands below it, without any on
        top.

        Raises
        ------
        FineTuningError
            If there is no label, the labels are not of one system, or nothing in it is free.
        """
        began = perf_counter()
        free = _free(frames)
        below = self._below.predict(frames)
        model = np.array([each.forces[free] for each in below])  # (labels, d)
        parent = np.array([frame.label.forces[free] for frame in frames])
        before = _rmse(self._factor * model, parent)
        self._factor = posterior_factor(np.diff(model, axis=0), np.diff(parent, axis=0), self._spec)
        newest = frames[-1].label.energy
        correction = CurvatureCorrection(self._factor, below[-1].energy, newest)
        self._surrogate.correct(NAME, correction)
        return FitReport(
            tuner=NAME,
            n_frames=len(frames),
            force_rmse_before=before,
            force_rmse_after=_rmse(self._factor * model, parent),
            wall_time=perf_counter() - began,
        )


def posterior_factor(model: Array, parent: Array, spec: CurvatureSpec) -> float:
    """Posterior mean of the factor, within the bounds of the spec.

    Parameters
    ----------
    model, parent
        Changes of the free force components in eV/Å, shape (pairs, d).
    """
    squares = np.mean(model**2, axis=1)
    told = squares > 0  # where the model's forces stay as they are no factor helps
    factors = np.mean(model * parent, axis=1)[told] / squares[told]
    weights = 1 / (spec.scatter**2 + spec.noise**2 / squares[told])
    prior = 1 / spec.prior_std**2
    mean = (prior + np.sum(weights * factors)) / (prior + np.sum(weights))
    return float(np.clip(mean, spec.lowest, spec.highest))


def _free(frames: Sequence[Frame]) -> Mask:
    """Mask of the free components that all labels share, shape (n, 3)."""
    if not frames:
        raise FineTuningError("got 0 labels but learning needs at least 1")
    first = frames[0].atoms
    free = free_components(first)
    if not free.any():
        raise FineTuningError("all components are fixed, so there is nothing to learn; free some")
    for frame in frames[1:]:
        if str(frame.atoms.symbols) != str(first.symbols):
            raise FineTuningError(
                f"the labels are not of one system: {frame.atoms.symbols} after {first.symbols}"
            )
    return free


def _rmse(model: Array, parent: Array) -> float:
    return float(np.sqrt(np.mean((model - parent) ** 2)))
