"""Covariances of energies and forces: smooth functions of coordinates plus a linear model.

The observations of a geometry are its energy and then its d forces. Letters: a, b, m geometries,
d coordinates, q features, p linear terms.

With u = (x - x') / length and the squared exponential k = exp(-u . u / 2) of unit variance the
covariances of energies E and forces F = -grad E are::

    cov(E, E') = k               cov(E, F') = -k u / length
    cov(F, E') = k u / length    cov(F, F') = k (1 - u u) / length**2

so a force varies by 1 / length. The same holds for smooth functions of features z(x), with the
forces along them; the chain rule with the slopes dz/dx makes forces of these. A linear model
E = sum_p c_p t_p(x), whose coefficients vary independently by `scale`, adds
scale**2 sum_p t_p t'_p, with minus the slopes of t for forces.

Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.7
(linear terms beside a process), 4.2 (the kernel, sums of kernels) and 9.4 (derivative
observations).
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
    features: Array
    """Shape (m, q); q may be 0."""
    slopes: Array
    """Derivatives of the features by the coordinates in 1/Å, shape (m, q, d)."""

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, some: slice) -> Points:
        return Points(self.inputs[some], self.terms[some], self.features[some], self.slopes[some])

    def equals(self, other: Points) -> bool:
        """Whether both are the same geometries, seen in the same way."""
        return (
            np.array_equal(self.inputs, other.inputs)
            and np.array_equal(self.terms, other.terms)
            and np.array_equal(self.features, other.features)
        )


def bare_points(inputs: Array) -> Points:
    """Geometries with neither terms nor features, from coordinates of shape (m, d)."""
    m, d = inputs.shape
    return Points(inputs, np.zeros((m, 1 + d, 0)), np.zeros((m, 0)), np.zeros((m, 0, d)))


def joined(one: Points, other: Points) -> Points:
    """All geometries of both, in their order."""
    names = ("inputs", "terms", "features", "slopes")
    return Points(*(np.concatenate([getattr(one, n), getattr(other, n)]) for n in names))


@dataclass(frozen=True)
class Kernel:
    """Its hyperparameters, relative to the amplitude of the smooth function of coordinates."""

    length: float
    """Å."""
    scale: float = 0.0
    """Prior standard deviation of each linear coefficient."""
    feature_length: float = 1.0
    """In units of the features."""
    feature_amplitude: float = 0.0
    """Prior standard deviation of the smooth function of the features; 0 leaves it out."""

    def covariance(self, one: Points, other: Points) -> Array:
        """Of all observations with all others, shape (a (1 + d), b (1 + d))."""
        covariance = squared_exponential(one.inputs, other.inputs, self.length)
        if self._sees_features(one):
            blocks = squared_exponential(one.features, other.features, self.feature_length)
            blocks *= self.feature_amplitude**2
            covariance[:, 0, :, 0] += blocks[:, 0, :, 0]
            covariance[:, 0, :, 1:] += np.einsum("abz,bzj->abj", blocks[:, 0, :, 1:], other.slopes)
            covariance[:, 1:, :, 0] += np.einsum("azb,azi->aib", blocks[:, 1:, :, 0], one.slopes)
            covariance[:, 1:, :, 1:] += np.einsum(
                "azi,azby,byj->aibj", one.slopes, blocks[:, 1:, :, 1:], other.slopes, optimize=True
            )
        a, o, b, _ = covariance.shape
        flat = covariance.reshape(a * o, b * o)
        if one.terms.shape[2] and self.scale:
            flat += self.scale**2 * (_rows(one) @ _rows(other).T)
        return flat

    def variance(self, points: Points) -> Array:
        """Prior variance of all observations, shape (m (1 + d),)."""
        variance = np.full(points.terms.shape[:2], self.length**-2)
        variance[:, 0] = 1.0
        variance += self.scale**2 * np.einsum("mop,mop->mo", points.terms, points.terms)
        if self._sees_features(points):
            along = np.einsum("mzi,mzi->mi", points.slopes, points.slopes)
            variance[:, 0] += self.feature_amplitude**2
            variance[:, 1:] += along * (self.feature_amplitude / self.feature_length) ** 2
        return np.asarray(variance.ravel())

    def mean(self, point: Points, seen: Points, weights: Array) -> tuple[float, Array]:
        """Energy and forces at one geometry, from weights (N,) of the observations `seen`."""
        by_label = weights.reshape(len(seen), -1)
        energy, forces = _smooth_mean(point.inputs[0], seen.inputs, by_label, self.length)
        if self._sees_features(point):
            along = np.einsum("mzi,mi->mz", seen.slopes, by_label[:, 1:])
            pulled = np.concatenate([by_label[:, :1], along], axis=1) * self.feature_amplitude**2
            of_features = _smooth_mean(
                point.features[0], seen.features, pulled, self.feature_length
            )
            energy += of_features[0]
            forces = forces + of_features[1] @ point.slopes[0]
        return energy, forces

    def _sees_features(self, points: Points) -> bool:
        return bool(points.features.shape[1] and self.feature_amplitude)


def squared_exponential(one: Array, other: Array, length: float) -> Array:
    """Covariances at points (a, d) and (b, d), shape (a, 1 + d, b, 1 + d), at unit variance."""
    a, b, d = len(one), len(other), one.shape[1]
    u = (one[:, None] - other[None]) / length
    k = np.exp(np.einsum("abd,abd->ab", u, u) / -2)
    ku = k[:, :, None] * u
    covariance = np.empty((a, 1 + d, b, 1 + d))
    covariance[:, 0, :, 0] = k
    covariance[:, 0, :, 1:] = ku / -length
    covariance[:, 1:, :, 0] = ku.transpose(0, 2, 1) / length
    forces = covariance[:, 1:, :, 1:]  # a view
    np.einsum("abi,abj->aibj", ku / -(length**2), u, out=forces)
    forces[:, np.arange(d), :, np.arange(d)] += k / length**2
    return covariance


def weighted(length: float, weight: float, points: Points) -> Kernel:
    """A kernel whose linear model is expected to move forces `weight` times as much as the rest.

    This is so at the first of `points` on the root mean square over its forces; it then stays,
    so that later labels do not change what earlier ones meant. Features are expected to matter
    as much as coordinates, and vary on the same length.
    """
    slopes = points.terms[0, 1:]
    size = float(np.sqrt(np.mean(np.sum(slopes**2, axis=1)))) if slopes.size else 0.0
    return Kernel(
        length,
        weight / (length * size) if size else 0.0,
        feature_length=length,
        feature_amplitude=1.0 if points.features.shape[1] else 0.0,
    )


def _smooth_mean(x: Array, seen: Array, weights: Array, length: float) -> tuple[float, Array]:
    """What `squared_exponential` times weights (m, 1 + d) gives at one point, without making it."""
    u = (x - seen) / length
    k = np.exp(np.einsum("md,md->m", u, u) / -2)
    of_forces = weights[:, 1:] / length
    slopes = weights[:, 0] - np.einsum("md,md->m", u, of_forces)
    forces: Array = ((k * slopes) @ u + k @ of_forces) / length
    return float(k @ slopes), forces


def _rows(points: Points) -> Array:
    return points.terms.reshape(-1, points.terms.shape[2])
