"""Exact Gaussian process of an energy, learned from energies and forces, in plain numpy.

The observations are ordered as all energies, then the forces of the first label, of the second
and so on. Letters: m labels, d coordinates, N = m (1 + d) observations.

With u = (x - x') / length and the squared exponential k = exp(-u . u / 2) of unit variance the
covariances of energies E and forces F = -grad E are::

    cov(E, E') = k               cov(E, F') = -k u / length
    cov(F, E') = k u / length    cov(F, F') = k (1 - u u) / length**2

so a force varies by amplitude / length.

Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.7
(an unknown constant), 4.2 (the kernel) and 9.4 (derivative observations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from finetuna_flows.errors import FineTuningError
from finetuna_flows.geometry import Array

SMALLEST_VARIANCE = 1e-11
"""Of the noise relative to the prior variance, below which rounding decides the Cholesky factor."""


@dataclass(frozen=True)
class DerivativeGP:
    """The posterior; made by `fit_derivative_gp`."""

    length: float
    """Å."""
    amplitude: float
    """Prior standard deviation of the energy in eV."""
    constant: float
    """eV; generalized-least-squares estimate of the mean energy."""
    inputs: Array
    """Å, shape (m, d)."""
    factor: Array
    """Lower Cholesky factor of the observations' covariance at unit amplitude, shape (N, N)."""
    weights: Array
    """Shape (N,): inverse covariance times observations less the constant."""
    whitened_ones: Array
    """Shape (N,): inverse factor times the indicator of the energies."""

    def mean(self, x: Array) -> tuple[float, Array]:
        """Energy in eV and forces in eV/Å, shape (d,), at the coordinates `x`."""
        m = len(self.inputs)
        u = (x - self.inputs) / self.length
        k = np.exp(np.einsum("md,md->m", u, u) / -2)
        of_energies, of_forces = self.weights[:m], self.weights[m:].reshape(u.shape) / self.length
        slopes = of_energies - np.einsum("md,md->m", u, of_forces)
        forces = (k * slopes) @ u + k @ of_forces
        return self.constant + float(k @ slopes), forces / self.length

    def std(self, x: Array) -> tuple[float, Array]:
        """Standard deviations of the energy in eV and of the forces in eV/Å, shape (d,)."""
        cross = _covariance(x[None], self.inputs, self.length)
        whitened = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        prior = np.full(1 + x.size, self.length**-2)
        prior[0] = 1.0
        variance = prior - np.einsum("no,no->o", whitened, whitened)
        unexplained = -self.whitened_ones @ whitened
        unexplained[0] += 1.0  # the constant adds to energies alone
        variance += unexplained**2 / (self.whitened_ones @ self.whitened_ones)
        std = self.amplitude * np.sqrt(np.maximum(variance, 0.0))  # rounding at a label
        return float(std[0]), std[1:]


def fit_derivative_gp(
    inputs: Array,
    energies: Array,
    forces: Array,
    *,
    length: float,
    energy_noise: float,
    force_noise: float,
    smallest_force: float,
) -> DerivativeGP:
    """Condition the process on labels and estimate its amplitude by maximum likelihood.

    The noise enters in units of a first estimate of the amplitude, the root mean square of the
    forces times the length; then the amplitude that maximizes the likelihood is known in
    closed form (Rasmussen and Williams, section 5.4.1, the derivative set to zero).

    Parameters
    ----------
    inputs
        Coordinates in Å, shape (m, d).
    energies
        eV, shape (m,).
    forces
        eV/Å, shape (m, d).
    length
        Å; of the kernel.
    energy_noise, force_noise
        Standard deviations of what the labels say, in eV and eV/Å.
    smallest_force
        eV/Å; the amplitude is at least what makes forces vary by this much.

    Raises
    ------
    FineTuningError
        If the covariance has no Cholesky factor.
    """
    m, d = inputs.shape
    first = length * max(float(np.sqrt(np.mean(forces**2))), smallest_force)
    of_energies = max((energy_noise / first) ** 2, SMALLEST_VARIANCE)
    of_forces = max((force_noise / first) ** 2, SMALLEST_VARIANCE / length**2)
    covariance = _covariance(inputs, inputs, length)
    covariance[np.diag_indices(m * (1 + d))] += [of_energies] * m + [of_forces] * (m * d)
    try:
        factor = cholesky(covariance, lower=True, overwrite_a=True)
    except (LinAlgError, ValueError) as exc:
        raise FineTuningError(
            f"the covariance of {m} labels has no Cholesky factor ({exc}); "
            "raise `force_noise` or `energy_noise`, or shorten `length`"
        ) from exc
    ones = np.concatenate([np.ones(m), np.zeros(m * d)])
    whitened_ones = solve_triangular(factor, ones, lower=True)
    level = float(energies.mean())  # taken out first: energies are large, differences small
    observed = np.concatenate([energies - level, forces.ravel()])
    whitened = solve_triangular(factor, observed, lower=True)
    constant = float(whitened_ones @ whitened / (whitened_ones @ whitened_ones))
    misfit = whitened - constant * whitened_ones
    likeliest = np.sqrt(misfit @ misfit / (len(misfit) - 1))  # one for the constant
    return DerivativeGP(
        length=length,
        amplitude=max(float(likeliest), length * smallest_force),
        constant=level + constant,
        inputs=inputs,
        factor=factor,
        weights=solve_triangular(factor, misfit, lower=True, trans="T"),
        whitened_ones=whitened_ones,
    )


def _covariance(one: Array, other: Array, length: float) -> Array:
    """Covariance of all energies, then all forces, at points (a, d) with those at points (b, d).

    Shape (a (1 + d), b (1 + d)).
    """
    a, b, d = len(one), len(other), one.shape[1]
    u = (one[:, None] - other[None]) / length
    k = np.exp(np.einsum("abd,abd->ab", u, u) / -2)
    ku = k[:, :, None] * u
    covariance = np.empty((a * (1 + d), b * (1 + d)))
    covariance[:a, :b] = k
    covariance[:a, b:] = ku.reshape(a, b * d) / -length
    covariance[a:, :b] = ku.transpose(0, 2, 1).reshape(a * d, b) / length
    forces = covariance[a:, b:].reshape(a, d, b, d)  # a view
    np.einsum("abi,abj->aibj", ku / -(length**2), u, out=forces)
    forces[:, np.arange(d), :, np.arange(d)] += k / length**2
    return covariance
