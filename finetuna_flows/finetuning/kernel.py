"""Covariances of energies and forces: a smooth function of the coordinates plus a linear model.

The observations of a geometry are its energy and then its d forces. Letters: a, b, m geometries,
d coordinates, p linear terms.

With u = (x - x') / length and the squared exponential k = exp(-u . u / 2) of unit variance the
covariances of energies E and forces F = -grad E are::

    cov(E, E') = k               cov(E, F') = -k u / length
    cov(F, E') = k u / length    cov(F, F') = k (1 - u u) / length**2

so a force varies by 1 / length. A linear model E = sum_p c_p t_p(x), whose coefficients vary
independently by `scale`, adds scale**2 sum_p t_p t'_p, with minus the slopes of t for forces.

Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.7
(linear terms beside a process), 4.2 (the kernel) and 9.4 (derivative observations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finetuna_flows.geometry import Array


@dataclass(frozen=True)
class Points:
    """Geometries as the kernel sees them."""

    inputs: Array
    """Coordinates in Å, shape (m, d)."""
    terms: Array
    """Shape (m, 1 + d, p): values of the linear terms, then minus their slopes."""

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, some: slice) -> Points:
        return Points(self.inputs[some], self.terms[some])

    def equals(self, other: Points) -> bool:
        """Whether both are the same geometries with the same terms."""
        return np.array_equal(self.inputs, other.inputs) and np.array_equal(self.terms, other.terms)


def bare_points(inputs: Array) -> Points:
    """Geometries with no linear terms, from coordinates of shape (m, d)."""
    m, d = inputs.shape
    return Points(inputs, np.zeros((m, 1 + d, 0)))


@dataclass(frozen=True)
class Kernel:
    """Its hyperparameters, relative to the amplitude of the smooth part."""

    length: float
    """Å."""
    scale: float = 0.0
    """Prior standard deviation of each linear coefficient."""

    def covariance(self, one: Points, other: Points) -> Array:
        """Of all observations with all others, shape (a (1 + d), b (1 + d))."""
        a, b, d = len(one), len(other), one.inputs.shape[1]
        u = (one.inputs[:, None] - other.inputs[None]) / self.length
        k = np.exp(np.einsum("abd,abd->ab", u, u) / -2)
        ku = k[:, :, None] * u
        covariance = np.empty((a, 1 + d, b, 1 + d))
        covariance[:, 0, :, 0] = k
        covariance[:, 0, :, 1:] = ku / -self.length
        covariance[:, 1:, :, 0] = ku.transpose(0, 2, 1) / self.length
        forces = covariance[:, 1:, :, 1:]  # a view
        np.einsum("abi,abj->aibj", ku / -(self.length**2), u, out=forces)
        forces[:, np.arange(d), :, np.arange(d)] += k / self.length**2
        flat = covariance.reshape(a * (1 + d), b * (1 + d))
        if one.terms.shape[2] and self.scale:
            flat += self.scale**2 * (_rows(one) @ _rows(other).T)
        return flat

    def variance(self, points: Points) -> Array:
        """Prior variance of all observations, shape (m (1 + d),)."""
        smooth = np.full(points.terms.shape[:2], self.length**-2)
        smooth[:, 0] = 1.0
        linear = self.scale**2 * np.einsum("mop,mop->mo", points.terms, points.terms)
        return np.asarray((smooth + linear).ravel())


def weighted(length: float, weight: float, points: Points) -> Kernel:
    """A kernel whose linear model is expected to move forces `weight` times as much as the rest.

    This is so at the first of `points` on the root mean square over its forces; it then stays,
    so that later labels do not change what earlier ones meant.
    """
    slopes = points.terms[0, 1:]
    size = float(np.sqrt(np.mean(np.sum(slopes**2, axis=1)))) if slopes.size else 0.0
    return Kernel(length, weight / (length * size) if size else 0.0)


def _rows(points: Points) -> Array:
    return points.terms.reshape(-1, points.terms.shape[2])
