"""How many digits a report keeps; the full numbers are in the store."""

from __future__ import annotations

import math
from collections.abc import Iterable

ENERGY = 5
"""Decimals of an energy in eV."""
FORCE = 4
"""Decimals of a force in eV/Å."""
LENGTH = 3
"""Decimals of a coordinate or a distance in Å."""
TIME = 2
"""Decimals of a time in s."""
RATIO = 4
"""Decimals of a ratio."""
DIGITS = 3
"""Digits that count of a force error, which may be very small."""


def rounded(value: float | None, decimals: int) -> float | None:
    """A number as JSON can hold it: None for what is not known or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0  # no negative zero


def significant(value: float | None, digits: int = DIGITS) -> float | None:
    """A number that may be very small, to so many digits that count; None as in `rounded`."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def all_rounded(values: Iterable[float | None], decimals: int) -> list[float | None]:
    """The same for each."""
    return [rounded(value, decimals) for value in values]
