"""Intervals against scipy's, laws that they keep, and how often they hold what they should."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from finetuna_flows.results.tables.bootstrap import BATCH, Difference, bootstrap_mean
from finetuna_flows.results.tables.statistics import Mean, Share, mean, sign_test, wilson

numbers = st.lists(st.floats(-1e3, 1e3), max_size=30)
counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_is_scipys(count_of: tuple[int, int]) -> None:
    count, n = count_of
    reference = binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count, n) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert Share(count, n).interval == wilson(count, n)


@given(counts)
def test_wilson_of_failures_mirrors_that_of_successes(count_of: tuple[int, int]) -> None:
    count, n = count_of
    low, high = wilson(count, n)
    assert 0 <= low <= count / n <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(wilson(n - count, n), abs=1e-12)


def test_another_level_is_scipys_too() -> None:
    reference = binomtest(7, 30).proportion_ci(0.8, method="wilson")
    assert wilson(7, 30, 0.8) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize(("count", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_wilson_refuses_what_cannot_be_counted(count: int, n: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"`count` is {count} of {n} but must be")):
        wilson(count, n)


def test_a_share_of_nothing_says_nothing() -> None:
    assert (Share(0, 0).fraction, Share(0, 0).interval) == (None, None)


@given(numbers)
def test_the_mean_and_its_error_are_numpys(values: list[float]) -> None:
    found = mean(values)
    assert found.n == len(values)
    if len(values) > 1:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert (found.value, found.error) == pytest.approx((np.mean(values), error), abs=1e-9)


def test_of_no_value_there_is_no_mean_and_of_one_no_error() -> None:
    assert mean([]) == Mean(None, None, 0)
    assert mean([2.5]) == Mean(2.5, None, 1)


@given(st.permutations([0.1, 0.2, 0.3, 1e9, -1e9, 7.7, 1e-9]))
def test_the_order_of_systems_changes_no_digit(values: list[float]) -> None:
    ordered = sorted(values)
    assert mean(values).value == mean(ordered).value
    assert bootstrap_mean(values, resamples=100) == bootstrap_mean(ordered, resamples=100)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_scipys(first: int, second: int) -> None:
    n = first + second
    expected = binomtest(first, n, 0.5).pvalue if n else 1.0
    assert sign_test(first, second) == pytest.approx(expected, rel=1e-9)
    assert sign_test(first, second) == sign_test(second, first)


@pytest.mark.parametrize("name", ["normal", "lognormal", "of few kinds"])
def test_the_bootstrap_is_scipys(name: str) -> None:
    rng = np.random.default_rng(5)
    values = {
        "normal": rng.normal(size=20),
        "lognormal": rng.lognormal(size=20),
        "of few kinds": rng.integers(-1, 2, size=20) * 1.0,
    }[name]
    expected = bootstrap((values,), np.mean, n_resamples=50_000, rng=1).confidence_interval
    found = bootstrap_mean(values, resamples=50_000)
    error = np.std(values, ddof=1) / np.sqrt(20)
    assert found.value == pytest.approx(np.mean(values))
    # of so many draws the ends are known to about 2 % of a standard error, each in its own draws
    tolerance = 0.06 * error if name != "of few kinds" else 0.05  # there one step of the mean
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=tolerance)


def test_the_interval_holds_the_mean_as_often_as_it_should() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for seed in range(1000):
        found = bootstrap_mean(rng.normal(1.0, 2.0, size=20), seed=seed, resamples=1000)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.0 <= found.high
    # 95 % less what the bootstrap's variance lacks: Student's t of 19 at 1.96 √(19/20) gives 92.9
    # %; the error of a share among 1000 is 0.8 %
    assert held / 1000 == pytest.approx(0.929, abs=0.025)


def test_pairing_narrows_what_easy_and_hard_systems_share() -> None:
    rng = np.random.default_rng(3)
    hardness = rng.lognormal(4.0, 0.5, size=30)
    first = hardness * rng.normal(0.5, 0.03, size=30)
    second = hardness * rng.normal(0.6, 0.03, size=30)
    together = bootstrap_mean(first - second)
    apart = bootstrap_mean(first - rng.permutation(second))
    assert width(together) < width(apart) / 2
    assert together.high is not None
    assert together.high < 0


def width(difference: Difference) -> float:
    assert difference.low is not None
    assert difference.high is not None
    return difference.high - difference.low


def test_shifting_and_scaling_the_values_does_so_to_the_interval() -> None:
    values = np.random.default_rng(2).lognormal(size=15)
    found, moved = bootstrap_mean(values), bootstrap_mean(3 * values - 7)
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        tuple(3 * each - 7 for each in (found.value, found.low, found.high) if each is not None)
    )


def test_where_nothing_differs_the_interval_is_a_point() -> None:
    assert bootstrap_mean([0.0] * 12) == Difference(0.0, 0.0, 0.0, 12)
    assert bootstrap_mean([0.1] * 7) == Difference(0.1, 0.1, 0.1, 7)


def test_of_no_system_there_is_no_difference_and_of_one_no_interval() -> None:
    assert bootstrap_mean([]) == Difference(None, None, None, 0)
    assert bootstrap_mean([4.0]) == Difference(4.0, None, None, 1)
    two = bootstrap_mean([1.0, 3.0])
    assert (two.low, two.value, two.high) == (1.0, 2.0, 3.0)


def test_the_seed_decides_the_draws() -> None:
    values = np.random.default_rng(4).normal(size=25)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_many_systems_are_drawn_in_batches() -> None:
    n = 5000
    values = np.random.default_rng(6).normal(size=n)
    assert n * 500 > BATCH
    found = bootstrap_mean(values, resamples=500)
    # normal theory; the ends of 500 draws are known to 12 % of a standard error
    assert width(found) == pytest.approx(2 * 1.96 * np.std(values) / np.sqrt(n), rel=0.2)


def test_the_bootstrap_refuses_to_draw_nothing() -> None:
    with pytest.raises(ValueError, match="`resamples` is 0 but must be positive"):
        bootstrap_mean([1.0, 2.0], resamples=0)
