"""Values of INCAR's tags, however they are written."""

from __future__ import annotations

FIXED_CELL = 2
"""The largest ISIF that leaves the cell alone."""


def is_true(value: object) -> bool:
    """Whether a truth value is true: ``.TRUE.``, ``T``, `True` and the like."""
    return str(value).strip().strip(".").upper().startswith("T")


def whole_number(value: object) -> int:
    """A whole number, which may be written as ``3``, ``3.0`` or ``3 ! words``.

    Raises
    ------
    ValueError
        If it is none.
    """
    words = str(value).split()
    number = float(words[0] if words else "")
    if number != int(number):
        raise ValueError(f"{value} is no whole number")
    return int(number)
