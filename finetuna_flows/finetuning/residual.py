"""Gaussian process on what the surrogate still gets wrong: parent minus prediction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FineTuningError, SurrogateError
from finetuna_flows.finetuning.coordinates import FreeCoordinates
from finetuna_flows.finetuning.derivative_gp import DerivativeGP, fit_derivative_gp
from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.geometry import Array
from finetuna_flows.protocols import CorrectableSurrogate
from finetuna_flows.records import FitReport, Frame, Prediction

logger = logging.getLogger(__name__)

NAME = "residual_gp"


@dataclass(frozen=True)
class ResidualCorrection:
    """The posterior mean of the residual, added; its spread, as the standard deviation.

    Whatever uncertainty the prediction below states is replaced: the residuals that the
    process has seen are errors of exactly that prediction.
    """

    process: DerivativeGP
    coordinates: FreeCoordinates
    energy_shift: float
    """eV; from the energy that the forces belong to, to the one that is reported."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        """Correct free components; the others are left as they are, with no spread.

        Raises
        ------
        SurrogateError
            If the atoms are not the system of the labels.
        """
        x = self.coordinates.read(atoms)
        energy, forces = self.process.mean(x)
        energy_std, forces_std = self.process.std(x)
        return Prediction(
            energy=below.energy + energy + self.energy_shift,
            forces=below.forces + self.coordinates.spread(forces),
            energy_std=energy_std,
            forces_std=self.coordinates.spread(forces_std),
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
        self._spec = spec
        self._surrogate = surrogate
        self._below: dict[bytes, Prediction] = {}
        self._correction: ResidualCorrection | None = None

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
        coordinates = self._correction.coordinates if self._correction else _begin(frames[0])
        inputs = _read(coordinates, frames)
        below = self._predict_below(frames)
        free = coordinates.free
        errors = np.array(
            [f.label.forces[free] - b.forces[free] for f, b in zip(frames, below, strict=True)]
        )
        before = self._remaining(inputs, errors)
        process = self._fit(inputs, frames, below, errors)
        shift = np.mean([f.label.energy - f.label.force_energy for f in frames])
        self._correction = ResidualCorrection(process, coordinates, float(shift))
        self._surrogate.correct(NAME, self._correction)
        report = FitReport(
            tuner=NAME,
            n_frames=len(frames),
            force_rmse_before=before,
            force_rmse_after=self._remaining(inputs, errors),
            wall_time=perf_counter() - began,
        )
        logger.debug("%s: %s; amplitude %.3g eV", NAME, report, process.amplitude)
        return report

    def _predict_below(self, frames: Sequence[Frame]) -> list[Prediction]:
        known = [frame for frame in frames if _key(frame) in self._below]
        if known and self._changed_at(known[-1]):
            self._below.clear()
        for frame in frames:
            if _key(frame) not in self._below:
                self._below[_key(frame)] = self._surrogate.predict_below(NAME, frame.atoms)
        return [self._below[_key(frame)] for frame in frames]

    def _changed_at(self, frame: Frame) -> bool:
        then, now = self._below[_key(frame)], self._surrogate.predict_below(NAME, frame.atoms)
        return then.energy != now.energy or not np.array_equal(then.forces, now.forces)

    def _fit(
        self, inputs: Array, frames: Sequence[Frame], below: Sequence[Prediction], errors: Array
    ) -> DerivativeGP:
        spec = self._spec
        energies = np.array(
            [f.label.force_energy - b.energy for f, b in zip(frames, below, strict=True)]
        )
        return fit_derivative_gp(
            inputs,
            energies,
            errors,
            length=spec.length,
            energy_noise=spec.energy_noise,
            force_noise=spec.force_noise,
            smallest_force=spec.smallest_force,
        )

    def _remaining(self, inputs: Array, errors: Array) -> float:
        """Root mean square of what the present correction leaves of the errors, in eV/Å."""
        known = np.zeros_like(errors)
        if self._correction is not None:
            known = np.array([self._correction.process.mean(x)[1] for x in inputs])
        return float(np.sqrt(np.mean((errors - known) ** 2)))


def _begin(frame: Frame) -> FreeCoordinates:
    coordinates = FreeCoordinates(frame.atoms.copy())
    if not coordinates.free.any():
        raise FineTuningError("all components are fixed, so there is nothing to learn; free some")
    return coordinates


def _read(coordinates: FreeCoordinates, frames: Sequence[Frame]) -> Array:
    """Coordinates of all labels in Å, shape (m, d)."""
    try:
        return np.array([coordinates.read(frame.atoms) for frame in frames])
    except SurrogateError as exc:
        raise FineTuningError(f"the labels are not of one system: {exc}") from exc


def _key(frame: Frame) -> bytes:
    """What tells one label of a system from another."""
    key: bytes = frame.atoms.positions.tobytes()
    return key
