"""Means with their standard errors, shares with Wilson intervals, and the exact sign test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb, fsum, sqrt
from statistics import NormalDist

LEVEL = 0.95
"""Confidence of every interval."""


@dataclass(frozen=True)
class Mean:
    """A mean over systems."""

    value: float | None
    """None of no value."""
    error: float | None
    """Standard error: the sample's standard deviation (n - 1) over √n; None of fewer than two."""
    n: int
    """Values that it is of."""


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    count: int
    n: int

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the fraction may lie by `wilson`; None of nothing."""
        return wilson(self.count, self.n) if self.n else None


def mean(values: Iterable[float]) -> Mean:
    """Average, whatever the order of the values, to the last digit."""
    known = list(values)
    n = len(known)
    if not n:
        return Mean(None, None, 0)
    value = fsum(known) / n
    if n == 1:
        return Mean(value, None, 1)
    variance = fsum((each - value) ** 2 for each in known) / (n - 1)
    return Mean(value, sqrt(variance / n), n)


def wilson(count: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a fraction, which keeps within 0 and 1 and has a width at both of them.

    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Raises
    ------
    ValueError
        If `count` is not among 0 to `n`, or there is nothing to count.
    """
    if not 0 <= count <= n or not n:
        raise ValueError(f"`count` is {count} of {n} but must be from 0 to n, with n positive")
    z = NormalDist().inv_cdf((1 + level) / 2)
    fraction = count / n
    scale = 1 + z**2 / n
    middle = (fraction + z**2 / (2 * n)) / scale
    half = z * sqrt(fraction * (1 - fraction) / n + (z / (2 * n)) ** 2) / scale
    low = 0.0 if not count else middle - half  # what rounding would miss
    high = 1.0 if count == n else middle + half
    return low, high


def sign_test(first: int, second: int) -> float:
    """Probability that two alike methods part at least so unevenly: McNemar's test, exactly.

    Pairs in which only one of both succeeds would fall to either with the same chance, so their
    number on one side is binomial; the others say nothing. Two-sided.

    Q. McNemar, Psychometrika 12, 153 (1947); exact as ``scipy.stats.binomtest`` with p = 1/2.

    Parameters
    ----------
    first
        Pairs in which only the first succeeds.
    second
        Pairs in which only the second does.
    """
    n = first + second
    tail = sum(comb(n, i) for i in range(min(first, second) + 1))
    return min(1.0, float(2 * tail / 2**n))
