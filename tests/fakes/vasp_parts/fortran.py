"""Numbers as Fortran's edit descriptors write them, stars and NaN included."""

from __future__ import annotations

import math


class InputError(Exception):
    """What was given cannot be run; the message says what and why."""


def fixed(value: float, width: int, decimals: int) -> str:
    """As ``Fw.d``: right-aligned, stars where it does not fit."""
    text = f"{value:.{decimals}f}" if math.isfinite(value) else "NaN"
    return text.rjust(width) if len(text) <= width else "*" * width


def scientific(value: float, width: int, digits: int) -> str:
    """As ``Ew.d``: ``0.15E+02``, without the leading zero where that saves the last column."""
    if not math.isfinite(value):
        return "NaN".rjust(width)
    mantissa, _, power = f"{abs(value):.{digits - 1}e}".partition("e")
    tail = f".{mantissa.replace('.', '')}E{int(power) + 1 if value else 0:+03d}"
    sign = "-" if value < 0 else ""
    text = next((text for text in (f"{sign}0{tail}", sign + tail) if len(text) <= width), "")
    return text.rjust(width) if text else "*" * width


def row(values: object, width: int, decimals: int) -> str:
    """Several numbers side by side, each as `fixed`."""
    return "".join(fixed(float(value), width, decimals) for value in values)  # type: ignore[attr-defined]  # arrays and tuples alike


def logical(value: bool) -> str:
    """``T`` or ``F``."""
    return "T" if value else "F"
