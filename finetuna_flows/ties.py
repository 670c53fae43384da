"""Decide among numbers that are equal but for rounding: by a rule, never by the last bit.

Another kernel of the same linear algebra library adds in another order, so that numbers which
mathematics makes equal differ in their last bits from machine to machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetuna_flows.geometry import Array

SHORT_OF_HALF = 2 / 701
"""Of a grid's step; a number that falls short of a half by less is rounded up. No decimal and no
simple fraction lies right there, whereas halves come from exact fractions of a lattice constant."""
HALVES = 9
"""Decimals; a number that differs from a half by less is a half."""


def first_lowest(values: ArrayLike, tolerance: float) -> int:
    """Index of the first value that exceeds the lowest one by no more than `tolerance`."""
    numbers = np.asarray(values, dtype=np.float64)
    return int(np.flatnonzero(numbers <= numbers.min() + tolerance)[0])


def first_highest(values: ArrayLike, tolerance: float) -> int:
    """Index of the first value that falls short of the highest one by no more than `tolerance`."""
    return first_lowest(-np.asarray(values, dtype=np.float64), tolerance)


def ranks(values: ArrayLike, tolerance: float) -> NDArray[np.int64]:
    """Rank of each value, from 0, the same for values that are equal, shape (n,).

    Parameters
    ----------
    values
        Shape (n,).
    tolerance
        A wider gap between neighbouring values separates two ranks.
    """
    numbers = np.asarray(values, dtype=np.float64)
    order = np.argsort(numbers, kind="stable")
    found = np.empty(len(numbers), dtype=np.int64)
    found[order] = np.cumsum(np.diff(numbers[order], prepend=numbers[order][:1]) > tolerance)
    return found


def order_by(columns: Sequence[ArrayLike], tolerance: float) -> NDArray[np.int64]:
    """Order of the rows of a table by its columns, the first one foremost, shape (n,).

    Values of a column that are equal within `tolerance` leave it to the next column, and in the
    end to the order given.
    """
    return np.lexsort([ranks(column, tolerance) for column in reversed(columns)])


def on_grid(values: ArrayLike, decimals: int) -> Array:
    """Round to `decimals`; a half goes up, as does what falls short of it by rounding."""
    steps = np.asarray(values, dtype=np.float64) * 10.0**decimals
    rounded = np.floor(steps + (0.5 + SHORT_OF_HALF)) / 10.0**decimals
    return np.asarray(rounded + 0.0)  # no negative zero


def within_cell(fractions: ArrayLike, tolerance: float) -> Array:
    """Fractional coordinates from 0 to 1; what falls short of a whole number by rounding is at 0.

    Parameters
    ----------
    fractions
        Of periodic cell vectors, any shape.
    tolerance
        By how much a coordinate may fall short.
    """
    given = np.asarray(fractions, dtype=np.float64)
    return np.asarray(given - np.floor(given + tolerance))


def nearest_whole(value: float) -> int:
    """Round as Python does, a half to the even number; what is a half but for rounding is one."""
    return round(round(value, HALVES))
