"""The part of a fitted parent that interpolates: a Gaussian process on energies and forces.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2 and section 9.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize_scalar

from benchmarks.fitted_parent import Array, Indices, kernel_derivatives

EVIDENCE_ROWS = 1500
"""Rows of the covariance that the prior's width is chosen by."""
WIDTHS = (0.05, 20.0)
"""eV; bounds of the prior's width."""


@dataclass(frozen=True)
class GPSettings:
    """What a Gaussian process assumes."""

    kernel: str = "rq"
    """``rq`` or ``m52``."""
    length: float = 1.0
    """Å."""
    energy_noise: float = 1e-3
    """eV; of relaxations of one geometry by one DFT code, 1 meV rms (systems of FINETUNA)."""
    force_noise: float = 2e-3
    """eV/Å. BFGS on parents of four systems published with FINETUNA (2026-11) took within one call
    of what it took with VASP; with 5e-3 within four."""
    largest_size: int = 7500
    """Rows of the covariance: time grows with its cube, memory with its square (450 MB)."""


def covariance(x: Array, settings: GPSettings) -> Array:
    """Of energies (T first rows) and forces (T·D more) at `x`, shape (T, D), for unit width."""
    n, size = x.shape
    z = x / settings.length
    matrix = np.empty((n + n * size, n + n * size))
    forces = matrix[n:, n:].reshape(n, size, n, size)
    for row in range(n):
        away = z[row] - z
        value, first, second = kernel_derivatives((away**2).sum(axis=1), settings.kernel)
        matrix[row, :n] = value
        mixed = 2 * first[:, None] * away / settings.length
        matrix[row, n:] = mixed.ravel()
        matrix[n:, row] = mixed.ravel()
        outer = -4 * second[:, None, None] * away[:, :, None] * away[:, None, :]
        outer -= 2 * first[:, None, None] * np.eye(size)
        forces[row] = outer.transpose(1, 0, 2) / settings.length**2
    return matrix


def choose_width(x: Array, misfit: Array, settings: GPSettings) -> float:
    """Prior standard deviation of the energy in eV, by marginal likelihood on some of the labels.

    Parameters
    ----------
    x
        Å, shape (T, D).
    misfit
        Energies (eV) and forces (eV/Å) to explain, shape (T, 1 + D).
    """
    n = max(1, min(len(x), EVIDENCE_ROWS // misfit.shape[1]))
    some = np.unique(np.linspace(0, len(x) - 1, n).astype(int))
    noise = _noise(len(some), x.shape[1], settings)
    y = _stacked(misfit[some]) / noise
    values, vectors = eigh(covariance(x[some], settings) / np.outer(noise, noise))
    powers = (vectors.T @ y) ** 2

    def badness(log_width: float) -> float:
        spectrum = np.exp(2 * log_width) * np.maximum(values, 0.0) + 1
        return float((np.log(spectrum) + powers / spectrum).sum())

    found = minimize_scalar(badness, bounds=tuple(np.log(WIDTHS)), method="bounded")
    return float(np.exp(found.x))


def gp_fields(x: Array, misfit: Array, centres: Indices, settings: GPSettings) -> dict[str, object]:
    """Solve for the weights of the `centres`; fields of a parent's file.

    The prior mean of the energy is the highest one to explain, so that what is unknown lies
    uphill.
    """
    offset = float(misfit[:, 0].max())
    y = misfit[centres].copy()
    y[:, 0] -= offset
    width = choose_width(x[centres], y, settings)
    matrix = covariance(x[centres], settings)
    matrix *= width**2
    noise = _noise(len(centres), x.shape[1], settings)
    matrix[np.diag_indices_from(matrix)] += noise**2
    factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    solved = width**2 * cho_solve(factor, _stacked(y))
    n = len(centres)
    return {
        "kernel": settings.kernel,
        "length": settings.length,
        "gp_offset": offset,
        "train_index": np.asarray(centres, dtype=np.int64),
        "energy_weights": solved[:n],
        "force_weights": -solved[n:].reshape(n, -1) / settings.length,
        "prior_width": width,
    }


def _noise(n: int, size: int, settings: GPSettings) -> Array:
    return np.concatenate(
        [np.full(n, settings.energy_noise), np.full(n * size, settings.force_noise)]
    )


def _stacked(misfit: Array) -> Array:
    return np.concatenate([misfit[:, 0], misfit[:, 1:].ravel()])
