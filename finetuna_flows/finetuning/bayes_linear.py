"""Bayesian linear regression whose noise and prior width are chosen by their evidence, in numpy.

Targets are ``t = A w + noise`` with independent normal noise of standard deviation sigma on each
of N targets and a normal prior of standard deviation s on each of p weights. With g = (s/sigma)²
and the eigenvalues l and vectors V of AᵀA the logarithm of the evidence is::

    -1/2 [N log(2 pi sigma²) + sum log(1 + g l) + (tᵀt - sum g b² / (1 + g l)) / sigma²]

where b = Vᵀ Aᵀ t. At a given g the sigma that maximizes it is known, so the search is over g alone.

Rasmussen, Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.1 (the
weights' posterior) and 5.4.1 (the marginal likelihood); the eigenvalues turn their determinants
and inverses into the sums above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from finetuna_flows.errors import FineTuningError
from finetuna_flows.geometry import Array
from finetuna_flows.ties import first_highest

STEPS_PER_DECADE = 8
"""Of the ratio g at which the evidence is looked at, before the best place is refined."""
SAME_EVIDENCE = 1e-6
"""Logarithms of evidences that differ by less are equal."""


class Bounds(NamedTuple):
    """Smallest and largest value, both positive."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class LinearPosterior:
    """What the targets say of the weights; made by `fit_linear`."""

    mean: Array
    """Shape (p,)."""
    noise: float
    """Standard deviation sigma of a target."""
    prior: float
    """Standard deviation s of a weight before any target."""
    log_evidence: float
    """Natural logarithm."""
    axes: Array
    """Orthonormal directions along which weights are independent, as columns, shape (p, p)."""
    axis_std: Array
    """Standard deviation along each, shape (p,)."""

    def std(self, rows: Array) -> Array:
        """Standard deviations of ``rows @ w``, shape (k,), for rows of shape (k, p), no noise."""
        spreads: Array = np.linalg.norm((rows @ self.axes) * self.axis_std, axis=1)
        return spreads


def fit_linear(rows: Array, targets: Array, *, noise: Bounds, prior: Bounds) -> LinearPosterior:
    """Condition the weights on targets, with the noise and prior of the largest evidence.

    Parameters
    ----------
    rows
        A, shape (N, p).
    targets
        t, shape (N,).
    noise, prior
        Bounds of sigma and s.

    Raises
    ------
    FineTuningError
        If a row or a target is not finite.
    """
    if not (np.isfinite(rows).all() and np.isfinite(targets).all()):
        raise FineTuningError("features or force errors of the labels are not finite numbers")
    eigenvalues, axes = np.linalg.eigh(rows.T @ rows)
    evidence = _Evidence(
        count=len(targets),
        eigenvalues=np.maximum(eigenvalues, 0.0),
        projections=axes.T @ (rows.T @ targets),
        squares=float(targets @ targets),
        noise=noise,
        prior=prior,
    )
    ratio = evidence.best_ratio()
    sigma = evidence.best_noise(ratio)
    shrunk = ratio / (1 + ratio * evidence.eigenvalues)
    return LinearPosterior(
        mean=axes @ (shrunk * evidence.projections),
        noise=sigma,
        prior=sigma * float(np.sqrt(ratio)),
        log_evidence=evidence.log_at(ratio),
        axes=axes,
        axis_std=sigma * np.sqrt(shrunk),
    )


@dataclass(frozen=True)
class _Evidence:
    """The evidence as a function of g, at the best noise within the bounds."""

    count: int
    eigenvalues: Array
    projections: Array
    squares: float
    noise: Bounds
    prior: Bounds

    def best_ratio(self) -> float:
        """The g of the largest evidence: the best of a grid, then the best beside it.

        Where bounds make the evidence flat it is the smallest g.
        """
        first = 2 * float(np.log10(self.prior.lowest / self.noise.highest))
        last = 2 * float(np.log10(self.prior.highest / self.noise.lowest))
        grid = np.linspace(first, last, 2 + int((last - first) * STEPS_PER_DECADE))
        heights = [self.log_at(10**x) for x in grid]
        best = first_highest(heights, SAME_EVIDENCE)
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = minimize_scalar(lambda x: -self.log_at(10**x), bounds=around, method="bounded")
        better = self.log_at(10 ** float(found.x)) > heights[best] + SAME_EVIDENCE
        return float(10 ** (float(found.x) if better else grid[best]))

    def best_noise(self, ratio: float) -> float:
        """The sigma of the largest evidence at g, moved to where both bounds are kept."""
        free = np.sqrt(self._misfit(ratio) / self.count)
        lowest = max(self.noise.lowest, self.prior.lowest / np.sqrt(ratio))
        highest = min(self.noise.highest, self.prior.highest / np.sqrt(ratio))
        return float(np.clip(free, lowest, max(lowest, highest)))

    def log_at(self, ratio: float) -> float:
        variance = self.best_noise(ratio) ** 2
        volume = np.log1p(ratio * self.eigenvalues).sum()
        misfit = self._misfit(ratio) / variance
        return float(-(self.count * np.log(2 * np.pi * variance) + volume + misfit) / 2)

    def _misfit(self, ratio: float) -> float:
        explained = ratio * self.projections**2 / (1 + ratio * self.eigenvalues)
        return max(self.squares - float(explained.sum()), 0.0)  # rounding
