"""Gaussian process on what the surrogate still gets wrong: parent minus prediction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FineTuningError, SurrogateError
from finetuna_flows.finetuning.below import PredictionsBelow
from finetuna_flows.finetuning.coordinates import FreeCoordinates
from finetuna_flows.finetuning.derivative_gp import DerivativeGP, Noise, fit_derivative_gp
from finetuna_flows.finetuning.kernel import Points, bare_points, joined, weighted
from finetuna_flows.finetuning.likelihood import likeliest_process
from finetuna_flows.finetuning.pair_basis import PairBasis
from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.geometry import Array
from finetuna_flows.protocols import CorrectableSurrogate, FeatureSurrogate
from finetuna_flows.records import FitReport, Frame, Prediction

logger = logging.getLogger(__name__)

NAME = "residual_gp"


@dataclass(frozen=True)
class ResidualSpace:
    """How the process sees the geometries of one system."""

    coordinates: FreeCoordinates
    pairs: PairBasis | None
    model: FeatureSurrogate | None
    """Whose descriptors are looked at too."""
    unit: float = 1.0
    """Of the descriptors: what a way of 1 Å changes them by, at the first label."""
    zero: Array | float = 0.0
    """Values of the pair terms at the first label, shape (p,), from which they are counted: they
    are large, their changes small."""

    def read(self, structures: Sequence[Atoms]) -> Points:
        """Coordinates, pair terms and descriptors.

        Raises
        ------
        SurrogateError
            If one of them is another system.
        """
        points = bare_points(np.array([self.coordinates.read(atoms) for atoms in structures]))
        if self.pairs is not None:
            terms = np.array([self.pairs.terms(atoms) for atoms in structures])
            terms[:, 0] -= self.zero
            points = replace(points, terms=terms)
        if self.model is not None:
            free = self.coordinates.free
            seen = [self.model.features(atoms, free) for atoms in structures]
            points = replace(
                points,
                features=np.array([each.values for each in seen]) / self.unit,
                slopes=np.array([each.slopes[:, free] for each in seen]) / self.unit,
            )
        return points


@dataclass(frozen=True)
class ResidualCorrection:
    """The posterior mean of the residual, added; its spread, as the standard deviation.

    Whatever uncertainty the prediction below states is replaced: the residuals that the
    process has seen are errors of exactly that prediction.
    """

    process: DerivativeGP
    space: ResidualSpace
    energy_shift: float
    """eV; from the energy that the forces belong to, to the one that is reported."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        """Correct free components; the others are left as they are, with no spread.

        Raises
        ------
        SurrogateError
            If the atoms are not the system of the labels.
        """
        point = self.space.read([atoms])
        energy, forces = self.process.mean(point)
        energy_std, forces_std = self.process.std(point)
        spread = self.space.coordinates.spread
        return Prediction(
            energy=below.energy + energy + self.energy_shift,
            forces=below.forces + spread(forces),
            energy_std=energy_std,
            forces_std=spread(forces_std),
        )


class ResidualGPTuner:
    """Fits the process anew to all labels at each update, in closed form.

    What stands below is predicted once for each label. It may have been trained since; so at
    each update the newest label that was known before is predicted again, and if a single
    number differs, all are: weights that change, change the prediction everywhere.
    """

    def __init__(self, spec: ResidualGPSpec, surrogate: CorrectableSurrogate) -> None:
        if not isinstance(surrogate, CorrectableSurrogate):
            raise ValueError(
                f"{type(surrogate).__name__} cannot be corrected; put it into a CompositeSurrogate"
            )
        if spec.features and not isinstance(surrogate.prior, FeatureSurrogate):
            raise ValueError(
                f"`features` is asked for but a {type(surrogate.prior).__name__} shows no "
                "descriptors; leave it out, or use CHGNetSpec or FairchemSpec"
            )
        self._spec = spec
        self._surrogate = surrogate
        self._below = PredictionsBelow(surrogate, NAME)
        self._correction: ResidualCorrection | None = None

    @property
    def process(self) -> DerivativeGP:
        """The process that knows the labels so far.

        Raises
        ------
        FineTuningError
            Before the first update.
        """
        if self._correction is None:
            raise FineTuningError("there is no process before the first update")
        return self._correction.process

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Put the process that knows all labels in the place of the one before.

        Raises
        ------
        FineTuningError
            If there is no label, the labels are not of one system with something free, or the
            process cannot be fitted.
        """
        began = perf_counter()
        if not frames:
            raise FineTuningError("got 0 labels but learning needs at least 1")
        space = self._correction.space if self._correction else self._begin(frames[0])
        below = self._below.predict(frames)
        known = self._correction.process.points if self._correction else None
        points = _read(space, frames, None if self._below.renewed else known)
        free = space.coordinates.free
        errors = np.array(
            [f.label.forces[free] - b.forces[free] for f, b in zip(frames, below, strict=True)]
        )
        before = self._remaining(points, errors)
        process = self._fit(points, frames, below, errors)
        shift = np.mean([f.label.energy - f.label.force_energy for f in frames])
        self._correction = ResidualCorrection(process, space, float(shift))
        self._surrogate.correct(NAME, self._correction)
        report = FitReport(
            tuner=NAME,
            n_frames=len(frames),
            force_rmse_before=before,
            force_rmse_after=self._remaining(points, errors),
            wall_time=perf_counter() - began,
        )
        logger.debug("%s: %s; %s, %.3g eV", NAME, report, process.kernel, process.amplitude)
        return report

    def _begin(self, frame: Frame) -> ResidualSpace:
        start, spec = frame.atoms.copy(), self._spec
        coordinates = FreeCoordinates(start)
        if not coordinates.free.any():
            raise FineTuningError(
                "all components are fixed, so there is nothing to learn; free some"
            )
        basis = PairBasis(start, spec.pair_cutoff, spec.pair_functions)
        pairs = basis if spec.pair_weight else None
        model = self._surrogate.prior
        zero = 0.0 if pairs is None else pairs.terms(start)[0]
        if not spec.features or not isinstance(model, FeatureSurrogate):
            return ResidualSpace(coordinates, pairs, None, zero=zero)
        slopes = model.features(start, coordinates.free).slopes[:, coordinates.free]
        unit = float(np.sqrt(np.mean(np.sum(slopes**2, axis=0))))
        return ResidualSpace(coordinates, pairs, model, unit, zero)

    def _fit(
        self, points: Points, frames: Sequence[Frame], below: Sequence[Prediction], errors: Array
    ) -> DerivativeGP:
        spec = self._spec
        energies = np.array(
            [f.label.force_energy - b.energy for f, b in zip(frames, below, strict=True)]
        )
        noise = Noise(spec.energy_noise, spec.force_noise, spec.smallest_force)
        if spec.length_bounds is not None:
            return likeliest_process(
                points, energies, errors, noise, spec.length_bounds, spec.pair_weight_bounds
            )
        previous = self._correction.process if self._correction else None
        kernel = previous.kernel if previous else weighted(spec.length, spec.pair_weight, points)
        return fit_derivative_gp(points, energies, errors, kernel, noise, previous)

    def _remaining(self, points: Points, errors: Array) -> float:
        """Root mean square of what the present correction leaves of the errors, in eV/Å."""
        known = np.zeros_like(errors)
        if self._correction is not None:
            process = self._correction.process
            known = np.array([process.mean(points[i : i + 1])[1] for i in range(len(points))])
        return float(np.sqrt(np.mean((errors - known) ** 2)))


def _read(space: ResidualSpace, frames: Sequence[Frame], known: Points | None) -> Points:
    """How the process sees the labels; the first ones may be `known` already."""
    structures = [frame.atoms for frame in frames]
    try:
        inputs = [space.coordinates.read(atoms) for atoms in structures]
        count = 0 if known is None else len(known)
        if known is None or not np.array_equal(inputs[:count], known.inputs):
            return space.read(structures)
        return joined(known, space.read(structures[count:])) if structures[count:] else known
    except SurrogateError as exc:
        raise FineTuningError(f"the labels are not of one system: {exc}") from exc
