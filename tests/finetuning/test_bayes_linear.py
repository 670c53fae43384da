"""The closed form: against dense normal equations, samples, and a case solved by hand."""

from __future__ import annotations

import numpy as np
import pytest

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.bayes_linear import Bounds, LinearPosterior, fit_linear
from finetuna_flows.geometry import Array

WIDE = Bounds(1e-3, 1e2)


def problem(seed: int, n: int = 40, p: int = 6, noise: float = 0.3) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, p)) * np.logspace(0, -2, p)
    weights = rng.normal(size=p)
    return rows, rows @ weights + noise * rng.normal(size=n), weights


def naive_log_evidence(rows: Array, targets: Array, sigma: float, s: float) -> float:
    covariance = sigma**2 * np.eye(len(rows)) + s**2 * rows @ rows.T
    _, log_volume = np.linalg.slogdet(2 * np.pi * covariance)
    return float(-(log_volume + targets @ np.linalg.solve(covariance, targets)) / 2)


@pytest.mark.parametrize(("n", "p"), [(40, 6), (5, 12)])
def test_posterior_is_that_of_the_normal_equations(n: int, p: int) -> None:
    rows, targets, _ = problem(0, n, p)
    found = fit_linear(rows, targets, noise=WIDE, prior=WIDE)
    precision = rows.T @ rows / found.noise**2 + np.eye(p) / found.prior**2
    mean = np.linalg.solve(precision, rows.T @ targets / found.noise**2)
    assert found.mean == pytest.approx(mean, rel=1e-6, abs=1e-9)
    asked = np.random.default_rng(1).normal(size=(7, p))
    variance = np.diag(asked @ np.linalg.inv(precision) @ asked.T)
    assert found.std(asked) == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_evidence_is_the_density_of_the_targets() -> None:
    rows, targets, _ = problem(1)
    found = fit_linear(rows, targets, noise=WIDE, prior=WIDE)
    naive = naive_log_evidence(rows, targets, found.noise, found.prior)
    assert found.log_evidence == pytest.approx(naive, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("noise", "prior"),
    [(WIDE, WIDE), (Bounds(0.5, 0.6), WIDE), (WIDE, Bounds(0.01, 0.1)), (Bounds(1e-3, 0.1), WIDE)],
)
def test_no_other_noise_and_prior_within_the_bounds_have_more_evidence(
    seed: int, noise: Bounds, prior: Bounds
) -> None:
    rows, targets, _ = problem(seed)
    found = fit_linear(rows, targets, noise=noise, prior=prior)
    assert noise.lowest * (1 - 1e-9) <= found.noise <= noise.highest * (1 + 1e-9)
    assert prior.lowest * (1 - 1e-9) <= found.prior <= prior.highest * (1 + 1e-9)
    others = [
        naive_log_evidence(rows, targets, sigma, s)
        for sigma in np.geomspace(*noise, 20)
        for s in np.geomspace(*prior, 20)
    ]
    assert found.log_evidence >= max(others) - 1e-4


def test_noise_and_weights_are_found_again_from_many_targets() -> None:
    rows, targets, weights = problem(2, n=20_000)
    found = fit_linear(rows, targets, noise=WIDE, prior=WIDE)
    assert found.noise == pytest.approx(0.3, rel=0.02)
    assert np.abs(found.mean - weights)[:3] == pytest.approx(0.0, abs=0.05)


def test_spread_is_that_of_samples() -> None:
    """Worlds drawn from the prior, kept if their targets come near the ones given."""
    rng = np.random.default_rng(5)
    rows, sigma, s = np.array([[1.0, 0.5], [0.2, -1.0]]), 0.5, 1.0
    targets = np.array([0.8, -0.3])
    worlds = rng.normal(scale=s, size=(1_500_000, 2))
    seen = worlds @ rows.T + sigma * rng.normal(size=worlds.shape)
    near = worlds[np.abs(seen - targets).max(axis=1) < 0.06]
    found = fit_linear(rows, targets, noise=Bounds(sigma, sigma), prior=Bounds(s, s))
    assert found.mean == pytest.approx(near.mean(axis=0), abs=0.03)
    asked = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert found.std(asked) == pytest.approx((near @ asked.T).std(axis=0), rel=0.05)


def test_one_weight_is_as_solved_by_hand() -> None:
    """Targets 1 and 2 of one weight, unit noise and prior: precision 1 + 2, mean 3 / 3."""
    found = fit_linear(
        np.ones((2, 1)), np.array([1.0, 2.0]), noise=Bounds(1.0, 1.0), prior=Bounds(1.0, 1.0)
    )
    assert found.mean == pytest.approx([1.0])
    assert found.std(np.array([[1.0], [2.0]])) == pytest.approx([1 / np.sqrt(3), 2 / np.sqrt(3)])
    assert (found.noise, found.prior) == pytest.approx((1.0, 1.0))


def test_a_direction_that_no_target_tells_keeps_the_prior() -> None:
    rows, targets, _ = problem(3, p=3)
    found = fit_linear(np.pad(rows, ((0, 0), (0, 1))), targets, noise=WIDE, prior=WIDE)
    blind = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert found.mean[3] == pytest.approx(0.0, abs=1e-12)
    assert found.std(blind) == pytest.approx([found.prior])


def test_targets_of_zero_leave_the_weights_at_rest() -> None:
    rows, targets, _ = problem(4)
    found = fit_linear(rows, 0 * targets, noise=Bounds(1e-3, 1.0), prior=WIDE)
    assert not found.mean.any()
    assert found.noise == pytest.approx(1e-3)


def test_where_the_evidence_is_flat_the_last_bit_decides_nothing() -> None:
    _, targets, _ = problem(6)
    rows = np.zeros((len(targets), 3))  # tell nothing of the weights
    noises = np.random.default_rng(0).uniform(-1e-15, 1e-15, (8, len(targets)))
    found = [fit_linear(rows, targets + noise, noise=WIDE, prior=WIDE) for noise in noises]
    assert [each.prior for each in found] == pytest.approx([found[0].prior] * 8, rel=1e-9)


def test_the_same_targets_have_the_same_posterior() -> None:
    rows, targets, _ = problem(5)
    one, two = (fit_linear(rows, targets, noise=WIDE, prior=WIDE) for _ in range(2))
    assert isinstance(one, LinearPosterior)
    assert np.array_equal(one.mean, two.mean)
    assert (one.noise, one.prior) == (two.noise, two.prior)


def test_what_is_not_finite_is_refused() -> None:
    rows, targets, _ = problem(6)
    rows[3, 2] = np.nan
    with pytest.raises(FineTuningError, match=r"features or force errors .* not finite"):
        fit_linear(rows, targets, noise=WIDE, prior=WIDE)
