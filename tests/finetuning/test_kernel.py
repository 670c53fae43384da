"""The process with a linear model beside it, and its growth by one label at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from finetuna_flows.finetuning.derivative_gp import DerivativeGP, Noise, fit_derivative_gp
from finetuna_flows.finetuning.kernel import Kernel, Points, bare_points, weighted
from finetuna_flows.geometry import Array

NOISE = Noise(1e-3, 2e-3, 0.05)


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(8)


def terms(x: Array) -> Array:
    """Two functions of the coordinates, values and minus slopes, shape (1 + d, 2)."""
    d = len(x)
    values = np.array([(x**2).sum(), np.sin(x[0])])
    slopes = np.stack([2 * x, np.cos(x[0]) * np.eye(d)[0]], axis=1)
    return np.concatenate([values[None], -slopes])


def features(x: Array) -> tuple[Array, Array]:
    """Three functions of the coordinates and their slopes, shapes (3,) and (3, d)."""
    d = len(x)
    values = np.array([x.sum(), np.cos(x[1]), (x**2).sum() / 2])
    return values, np.stack([np.ones(d), -np.sin(x[1]) * np.eye(d)[1], x])


def points(inputs: Array) -> Points:
    return replace(bare_points(inputs), terms=np.array([terms(x) for x in inputs]))


def rich_points(inputs: Array) -> Points:
    both = [features(x) for x in inputs]
    return replace(
        points(inputs),
        features=np.array([values for values, _ in both]),
        slopes=np.array([slopes for _, slopes in both]),
    )


def labels(inputs: Array) -> tuple[Array, Array]:
    """Three times the first function plus a ripple."""
    ripple = 0.1 * np.cos(2 * inputs[:, 1])
    forces = -6 * inputs
    forces[:, 1] += 0.2 * np.sin(2 * inputs[:, 1])
    return 3 * (inputs**2).sum(axis=1) + ripple, forces


def fit(inputs: Array, kernel: Kernel, previous: DerivativeGP | None = None) -> DerivativeGP:
    return fit_derivative_gp(points(inputs), *labels(inputs), kernel, NOISE, previous)


def test_linear_model_is_that_of_dense_linear_algebra(rng: Generator) -> None:
    """Weight space: coefficients as unknowns of their own beside the process."""
    inputs, x = 0.5 * rng.normal(size=(3, 2)), np.array([0.9, -0.8])
    kernel = Kernel(0.8, 1.7)
    process = fit(inputs, kernel)
    seen, asked = points(inputs), points(x[None])
    smooth = Kernel(0.8)
    a = seen.terms.reshape(-1, 2)
    energies, forces = labels(inputs)
    observed = np.concatenate([energies[:, None], forces], axis=1).ravel()
    noise = np.diag(np.tile([1e-3**2, 2e-3**2, 2e-3**2], 3)) / process.unit**2
    precision = np.linalg.inv(smooth.covariance(seen, seen) + noise)
    ones = np.tile([1.0, 0, 0], 3)
    design = np.concatenate([a, ones[:, None]], axis=1)  # coefficients and the constant
    prior = np.diag([1.7**-2, 1.7**-2, 0.0])
    solution = np.linalg.solve(
        design.T @ precision @ design + prior, design.T @ precision @ observed
    )
    rest = smooth.covariance(asked, seen) @ precision @ (observed - design @ solution)
    expected = asked.terms[0] @ solution[:2] + np.array([solution[2], 0, 0]) + rest
    energy, force = process.mean(asked)
    assert [energy, *force] == pytest.approx(expected, abs=1e-7)
    assert process.coefficients == pytest.approx(solution[:2], abs=1e-7)


def test_variance_is_that_of_dense_linear_algebra(rng: Generator) -> None:
    inputs, x = 0.5 * rng.normal(size=(3, 2)), np.array([[0.4, -0.1]])
    process = fit(inputs, Kernel(0.8, 1.7))
    seen, asked = points(inputs), points(x)
    covariance = process.factor @ process.factor.T
    cross = process.kernel.covariance(asked, seen)
    ones = np.tile([1.0, 0, 0], 3)
    solved = np.linalg.solve(covariance, np.column_stack([cross.T, ones]))
    variance = np.diag(process.kernel.covariance(asked, asked)) - np.sum(cross.T * solved[:, :3], 0)
    left = np.array([1.0, 0, 0]) - cross @ solved[:, 3]
    variance += left**2 / (ones @ solved[:, 3])
    energy_std, forces_std = process.std(asked)
    expected = process.amplitude * np.sqrt(variance)
    assert [energy_std, *forces_std] == pytest.approx(expected, rel=1e-6)


def test_prior_variances_are_those_of_the_covariance(rng: Generator) -> None:
    seen, kernel = points(rng.normal(size=(4, 3))), Kernel(0.7, 0.6)
    assert kernel.variance(seen) == pytest.approx(np.diag(kernel.covariance(seen, seen)))


def test_covariances_of_features_are_differences_of_the_kernel(rng: Generator) -> None:
    """Every entry by central differences of the kernel of features and coordinates."""
    kernel, h, d = Kernel(0.8, 0.7, 1.3, 0.9), 1e-4, 2
    x, y = rng.normal(size=(2, d))

    def value(one: Array, other: Array) -> float:
        smooth = np.exp(-((one - other) @ (one - other)) / (2 * 0.8**2))
        apart = features(one)[0] - features(other)[0]
        of_features = 0.9**2 * np.exp(-(apart @ apart) / (2 * 1.3**2))
        return float(smooth + of_features + 0.7**2 * terms(one)[0] @ terms(other)[0])

    def observe(point: Array, row: int) -> list[tuple[Array, float]]:
        if row == 0:
            return [(point, 1.0)]
        step = h * np.eye(d)[row - 1]
        return [(point + step, -0.5 / h), (point - step, 0.5 / h)]

    expected = [
        [
            sum(v * w * value(a, b) for a, v in observe(x, i) for b, w in observe(y, j))
            for j in range(1 + d)
        ]
        for i in range(1 + d)
    ]
    found = kernel.covariance(rich_points(x[None]), rich_points(y[None]))
    assert found == pytest.approx(np.array(expected), abs=1e-5)
    both = rich_points(np.array([x, y]))
    assert kernel.variance(both) == pytest.approx(np.diag(kernel.covariance(both, both)))


def test_mean_is_the_covariance_times_the_weights(rng: Generator) -> None:
    kernel = Kernel(0.8, 0.0, 1.3, 0.9)
    seen, asked = rich_points(rng.normal(size=(4, 2))), rich_points(rng.normal(size=(1, 2)))
    weights = rng.normal(size=12)
    energy, forces = kernel.mean(asked, seen, weights)
    assert [energy, *forces] == pytest.approx(kernel.covariance(asked, seen) @ weights)


def test_coefficient_is_found_where_the_linear_model_is_right(rng: Generator) -> None:
    inputs = 0.4 * rng.normal(size=(5, 3))
    process = fit(inputs, weighted(0.9, 3.0, points(inputs)))
    assert process.coefficients[0] == pytest.approx(3.0, abs=0.3)  # the prior shrinks it


def test_grown_factor_is_that_from_scratch(rng: Generator) -> None:
    inputs = 0.4 * rng.normal(size=(6, 3))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)  # forces of one size: one unit
    kernel = Kernel(0.9, 0.5)
    grown = fit(inputs[:2], kernel)
    for count in (3, 6, 6):
        larger = fit(inputs[:count], kernel, grown)
        assert larger.unit == grown.unit
        assert np.array_equal(larger.factor[: len(grown.factor), : len(grown.factor)], grown.factor)
        grown = larger
    scratch = fit(inputs, kernel)
    assert grown.factor == pytest.approx(scratch.factor, abs=1e-9)
    assert grown.amplitude == pytest.approx(scratch.amplitude)


@pytest.mark.parametrize("change", ["kernel", "order", "unit"])
def test_factor_of_another_model_is_not_used(rng: Generator, change: str) -> None:
    inputs = 0.4 * rng.normal(size=(3, 3))
    kernel = Kernel(0.9, 0.5)
    known = inputs[::-1] if change == "order" else 0.01 * inputs if change == "unit" else inputs
    previous = fit(known[:2], Kernel(0.8, 0.5) if change == "kernel" else kernel)
    found = fit(inputs, kernel, previous)
    assert np.array_equal(found.factor, fit(inputs, kernel).factor)


def test_weight_is_the_ratio_of_prior_forces(rng: Generator) -> None:
    seen = points(rng.normal(size=(2, 3)))
    kernel = weighted(0.8, 3.0, seen)
    forces = (kernel.variance(seen) - Kernel(0.8).variance(seen)).reshape(2, 4)[0, 1:]
    assert np.sqrt(np.mean(forces)) == pytest.approx(3.0 / 0.8)


def test_log_likelihood_is_the_density_of_what_is_seen(rng: Generator) -> None:
    """Differences between kernels equal those of the density with the constant integrated out."""

    def density(process: DerivativeGP, inputs: Array) -> float:
        energies, forces = labels(inputs)
        observed = np.concatenate([energies[:, None], forces], axis=1).ravel()
        covariance = process.amplitude**2 * process.factor @ process.factor.T
        ones = np.tile([1.0] + [0.0] * forces.shape[1], len(energies))
        inverse = np.linalg.inv(covariance)
        certainty = ones @ inverse @ ones
        misfit = observed - ones * (ones @ inverse @ observed) / certainty
        return float(
            -0.5 * misfit @ inverse @ misfit
            - 0.5 * np.linalg.slogdet(covariance)[1]
            - 0.5 * np.log(certainty)
        )

    inputs = 0.5 * rng.normal(size=(3, 2))
    one, other = (fit(inputs, kernel) for kernel in (Kernel(0.8, 0.5), Kernel(1.1, 1.5)))
    expected = density(one, inputs) - density(other, inputs)
    assert one.log_likelihood - other.log_likelihood == pytest.approx(expected, abs=1e-6)
