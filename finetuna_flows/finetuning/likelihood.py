"""Hyperparameters by marginal likelihood: Rasmussen and Williams (2006), section 5.4.1."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from finetuna_flows.finetuning.derivative_gp import DerivativeGP, Noise, fit_derivative_gp
from finetuna_flows.finetuning.kernel import Points, weighted
from finetuna_flows.geometry import Array

Bounds = tuple[float, float]

ROUNDS = 12
"""Of the search; each costs a few factorizations. The likelihood is flat near its maximum."""


def likeliest_process(
    points: Points,
    energies: Array,
    forces: Array,
    noise: Noise,
    length: Bounds,
    pair_weight: Bounds,
) -> DerivativeGP:
    """The process whose length (Å) and pair weight make the labels likeliest, within bounds.

    Both are searched on a logarithmic scale from the middle of their bounds, deterministically.
    Without linear terms in `points` the pair weight has no effect and is left alone.

    Raises
    ------
    FineTuningError
        If a covariance has no Cholesky factor.
    """
    ranges = [length, pair_weight] if points.terms.shape[2] else [length]
    low, high = np.log(ranges).T

    def process(logarithms: Array) -> DerivativeGP:
        chosen = np.exp(np.clip(logarithms, low, high))
        kernel = weighted(chosen[0], chosen[1] if len(chosen) > 1 else 0.0, points)
        return fit_derivative_gp(points, energies, forces, kernel, noise)

    found = minimize(
        lambda logarithms: -process(logarithms).log_likelihood,
        (low + high) / 2,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": ROUNDS, "eps": 1e-3},
    )
    return process(found.x)
