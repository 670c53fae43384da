"""Numbers as people read them: no more digits than are known, a dash where there is nothing."""

from __future__ import annotations

from math import floor, log10

from finetuna_flows.results.tables.bootstrap import Difference
from finetuna_flows.results.tables.statistics import Mean, Share

DASH = "–"
MINUS = "−"
MOST_DECIMALS = 4
CERTAIN = 1
"""Decimals of what has no error, or none that is known."""
LEAST_P = 0.001
"""Smaller probabilities are not told apart."""


def plain(value: float | None, decimals: int) -> str:
    """A number with so many decimals; zero has no sign."""
    if value is None:
        return DASH
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float | None, decimals: int) -> str:
    """A number with its sign, plus included."""
    text = plain(value, decimals)
    positive = value is not None and value > 0 and text.strip("0.")
    return f"+{text}" if positive else text


def amount(value: float | None) -> str:
    """A number to three digits."""
    return plain(value, _decimals(value, 3))


def with_error(mean: Mean, scale: float = 1.0) -> str:
    """A mean and its standard error, to two digits of the error."""
    if mean.value is None:
        return DASH
    error = mean.error * scale if mean.error is not None else None
    decimals = _decimals(error, 2)
    return f"{plain(mean.value * scale, decimals)} ± {plain(error, decimals)}"


def with_interval(difference: Difference, scale: float = 1.0) -> str:
    """A difference and its interval, to two digits of half the interval."""
    if difference.value is None:
        return DASH
    if difference.low is None or difference.high is None:
        return f"{signed(difference.value * scale, CERTAIN)} [{DASH}]"
    decimals = _decimals((difference.high - difference.low) / 2 * scale, 2)
    said = [signed(each * scale, decimals) for each in (difference.low, difference.high)]
    return f"{signed(difference.value * scale, decimals)} [{said[0]}, {said[1]}]"


def percent(share: Share) -> str:
    """A share in percent, to one decimal unless it is zero."""
    fraction = share.fraction
    return plain(fraction * 100 if fraction is not None else None, 1).removesuffix(".0")


def percent_with_interval(share: Share) -> str:
    """A share and its Wilson interval in percent."""
    if share.interval is None:
        return DASH
    low, high = (plain(each * 100, 0) for each in share.interval)
    return f"{percent(share)} [{low}, {high}]"


def probability(p: float | None) -> str:
    """To three decimals."""
    if p is None:
        return DASH
    return f"< {LEAST_P}" if p < LEAST_P else plain(p, 3)


def _decimals(value: float | None, digits: int) -> int:
    """Decimals that show so many digits of a number."""
    if not value:
        return CERTAIN
    return min(MOST_DECIMALS, max(0, digits - 1 - floor(log10(abs(value)))))
