"""Exact Gaussian process of an energy, learned from energies and forces, in plain numpy.

The observations are ordered by geometry, each with its energy and then its forces, so that the
Cholesky factor of the first labels is a block of the factor of all: a new label costs
O(N**2 d) instead of O(N**3). Letters: m labels, d coordinates, p linear terms, N = m (1 + d)
observations.

Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.2
(the posterior) and 2.7 (an unknown constant).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.kernel import Kernel, Points
from finetuna_flows.geometry import Array

SMALLEST_VARIANCE = 1e-11
"""Of the noise relative to the prior variance, below which rounding decides the Cholesky factor."""


@dataclass(frozen=True)
class Noise:
    """How exactly labels are reproduced, and how little the process may vary."""

    energy: float = 1e-3
    """eV."""
    force: float = 2e-3
    """eV/Å."""
    smallest_force: float = 0.05
    """eV/Å; the amplitude is at least what makes forces vary by this much."""


@dataclass(frozen=True)
class DerivativeGP:
    """The posterior; made by `fit_derivative_gp`."""

    kernel: Kernel
    unit: float
    """eV; the noise entered relative to it."""
    amplitude: float
    """Prior standard deviation of the energy's smooth part in eV."""
    constant: float
    """eV; generalized-least-squares estimate of the mean energy."""
    points: Points
    """The labelled geometries."""
    factor: Array
    """Lower Cholesky factor of the observations' covariance at unit amplitude, shape (N, N)."""
    weights: Array
    """Shape (N,): inverse covariance times observations less the constant."""
    whitened_ones: Array
    """Shape (N,): inverse factor times the indicator of the energies."""
    log_likelihood: float
    """Of the labels, constant integrated out and amplitude at its best, up to what only depends
    on their number."""

    @cached_property
    def coefficients(self) -> Array:
        """Posterior mean of the linear model's coefficients in eV, shape (p,)."""
        weights = self.weights.reshape(self.points.terms.shape[:2])
        coefficients: Array = np.einsum("mop,mo->p", self.points.terms, weights)
        return coefficients * self.kernel.scale**2

    def mean(self, point: Points) -> tuple[float, Array]:
        """Energy in eV and forces in eV/Å, shape (d,), at one geometry."""
        energy, forces = self.kernel.mean(point, self.points, self.weights)
        linear = point.terms[0] @ self.coefficients
        return self.constant + energy + float(linear[0]), forces + linear[1:]

    def std(self, point: Points) -> tuple[float, Array]:
        """Standard deviations of the energy in eV and of the forces in eV/Å, shape (d,)."""
        cross = self.kernel.covariance(point, self.points)
        whitened = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        variance = self.kernel.variance(point) - np.einsum("no,no->o", whitened, whitened)
        unexplained = -self.whitened_ones @ whitened
        unexplained[0] += 1.0  # the constant adds to energies alone
        variance += unexplained**2 / (self.whitened_ones @ self.whitened_ones)
        std = self.amplitude * np.sqrt(np.maximum(variance, 0.0))  # rounding at a label
        return float(std[0]), std[1:]


def fit_derivative_gp(
    points: Points,
    energies: Array,
    forces: Array,
    kernel: Kernel,
    noise: Noise,
    previous: DerivativeGP | None = None,
) -> DerivativeGP:
    """Condition the process on labels and estimate its amplitude by maximum likelihood.

    The noise enters in units of a first estimate of the amplitude, the root mean square of the
    forces times the length, rounded to a power of two; then the amplitude that maximizes the
    likelihood is known in closed form (Rasmussen and Williams, section 5.4.1, the derivative
    set to zero).

    Parameters
    ----------
    points
        The m geometries.
    energies
        eV, shape (m,).
    forces
        eV/Å, shape (m, d).
    kernel, noise
        The model.
    previous
        A process of the same kernel whose labels are the first of these: its factor is extended,
        unless the unit of the noise must change, which it does by a factor of two at least.

    Raises
    ------
    FineTuningError
        If the covariance has no Cholesky factor.
    """
    m, d = forces.shape
    first = kernel.length * max(float(np.sqrt(np.mean(forces**2))), noise.smallest_force)
    unit = float(2.0 ** np.round(np.log2(first)))
    if previous is not None and previous.unit / 2 <= first <= previous.unit * 2:
        unit = previous.unit
    variances = np.full(1 + d, max((noise.force / unit) ** 2, SMALLEST_VARIANCE / kernel.length**2))
    variances[0] = max((noise.energy / unit) ** 2, SMALLEST_VARIANCE)
    known = previous if previous and _extends(points, kernel, unit, previous) else None
    try:
        factor = _factorize(points, kernel, variances, known)
    except (LinAlgError, ValueError) as exc:
        raise FineTuningError(
            f"the covariance of {m} labels has no Cholesky factor ({exc}); "
            "raise `force_noise` or `energy_noise`, or shorten `length`"
        ) from exc
    level = float(energies.mean())  # taken out first: energies are large, differences small
    ones = np.tile([1.0] + [0.0] * d, m)
    observed = np.concatenate([energies[:, None] - level, forces], axis=1).ravel()
    whitened_ones = solve_triangular(factor, ones, lower=True)
    whitened = solve_triangular(factor, observed, lower=True)
    certainty = float(whitened_ones @ whitened_ones)
    constant = float(whitened_ones @ whitened) / certainty
    misfit = whitened - constant * whitened_ones
    count = len(misfit) - 1  # one for the constant
    floor = kernel.length * noise.smallest_force
    amplitude = max(float(np.sqrt(misfit @ misfit / count)), floor)
    return DerivativeGP(
        kernel=kernel,
        unit=unit,
        amplitude=amplitude,
        constant=level + constant,
        points=points,
        factor=factor,
        weights=solve_triangular(factor, misfit, lower=True, trans="T"),
        whitened_ones=whitened_ones,
        log_likelihood=float(
            -count * np.log(amplitude)
            - misfit @ misfit / (2 * amplitude**2)
            - np.log(np.diag(factor)).sum()
            - np.log(certainty) / 2
        ),
    )


def _extends(points: Points, kernel: Kernel, unit: float, previous: DerivativeGP) -> bool:
    known = len(previous.points)
    return (
        (previous.kernel, previous.unit) == (kernel, unit)
        and known <= len(points)
        and points[:known].equals(previous.points)
    )


def _factorize(
    points: Points, kernel: Kernel, variances: Array, known: DerivativeGP | None
) -> Array:
    """Lower Cholesky factor of all observations, from that of the first where it is known."""
    if known is None:
        return _cholesky(kernel.covariance(points, points), variances)
    old, new = points[: len(known.points)], points[len(known.points) :]
    if not len(new):
        return known.factor
    across = solve_triangular(known.factor, kernel.covariance(old, new), lower=True)
    left = kernel.covariance(new, new) - across.T @ across
    size = len(known.factor)
    factor = np.zeros((size + len(left), size + len(left)))
    factor[:size, :size] = known.factor
    factor[size:, :size] = across.T
    factor[size:, size:] = _cholesky(left, variances)
    return factor


def _cholesky(covariance: Array, variances: Array) -> Array:
    count = len(covariance) // len(variances)
    covariance[np.diag_indices(len(covariance))] += np.tile(variances, count)
    factor: Array = cholesky(covariance, lower=True, overwrite_a=True)
    return factor
