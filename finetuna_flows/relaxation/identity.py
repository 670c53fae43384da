"""Whether two runs are the same run: where the JSON values that identify them differ."""

from __future__ import annotations

import math
import reprlib

ROUNDING = 1e-11
"""Numbers in an identity that differ by less, absolutely or relatively, are the same."""


def differences(then: object, now: object, name: str = "") -> list[str]:
    """Say where two JSON values differ by more than rounding, one clause a place."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = sorted(then.keys() | now.keys())
        return [
            clause
            for key in keys
            for clause in differences(then.get(key), now.get(key), f"{name}.{key}".lstrip("."))
        ]
    if _same(then, now):
        return []
    if isinstance(then, str) and isinstance(now, str):
        then, now = _parts(then, now), _parts(now, then)
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        place = [_same(one, other) for one, other in zip(then, now, strict=True)].index(False)
        return differences(then[place], now[place], f"{name}[{place}]")
    return [f"`{name}` was {reprlib.repr(then)} and is {reprlib.repr(now)}"]


def _parts(words: str, others: str) -> str:
    """What of a sentence, cut at its commas, the other has not; all of it if that is nothing."""
    kept = [part for part in words.split(", ") if part not in others.split(", ")]
    return ", ".join(kept) or words


def _same(then: object, now: object) -> bool:
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_same, then, now))
    if isinstance(then, float) and isinstance(now, float):
        return math.isclose(then, now, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return then == now
