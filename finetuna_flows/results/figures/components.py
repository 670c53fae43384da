"""Principal components: the plane in which vectors vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finetuna_flows.geometry import Array
from finetuna_flows.results.figures.style import NothingToDrawError

CONSTANT = 1e-9
"""A number that varies by less than this part of its size only rounds differently."""


@dataclass(frozen=True)
class Components:
    """Vectors in the plane in which they vary most."""

    scores: Array
    """Shape (vectors, 2), in standard deviations of single numbers."""
    explained: tuple[float, float]
    """Part of the variance along each."""


def principal_components(vectors: Array) -> Components:
    """Project standardized vectors on the two directions in which they vary most.

    Numbers that do not vary are left out. Of both directions that sign is taken in which the
    first vector that lies off the middle is negative.

    Parameters
    ----------
    vectors
        Shape (vectors, numbers).

    Raises
    ------
    NothingToDrawError
        If there are fewer than three vectors, or none differs from another.
    """
    deviations = vectors - vectors.mean(axis=0)
    spread = deviations.std(axis=0)
    varying = spread > CONSTANT * np.abs(vectors).max(axis=0, initial=0.0)
    if len(vectors) < 3 or not varying.any():
        raise NothingToDrawError("there are fewer than three geometries that differ")
    scaled = deviations[:, varying] / spread[varying]
    variances, directions = np.linalg.eigh(scaled @ scaled.T)  # much smaller than the vectors
    first, second = variances[:-3:-1].clip(min=0.0)
    scores = directions[:, :-3:-1] * np.sqrt([first, second])
    for score in scores.T:
        told = score[np.abs(score) > CONSTANT * np.abs(score).max()]
        score *= -1.0 if len(told) and told[0] > 0 else 1.0
    whole = variances.sum()
    return Components(scores, (float(first / whole), float(second / whole)))
