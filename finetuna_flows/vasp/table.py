"""Numbers as VASP prints them, and its table of positions and forces."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from finetuna_flows.geometry import Array

HEADING = "TOTAL-FORCE (eV/Angst)"
"""Over the table of an ionic step in OUTCAR; more may follow, as of forces without dispersion."""
LEARNED = "(ML)"
"""Behind the heading of a table of a machine-learned force field."""
RULE = " ----"
"""How the lines begin that enclose the rows."""
NEEDED = 6
"""Columns of positions and forces; those behind are other kinds of forces."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([EeDd][-+]?\d+)?")
DECIMAL = re.compile(r"-?\d+\.(\d+)")
TOUCHING = re.compile(r"-?\d+\.(?:\d{6}(?=[-\d*N])|\d+)|\*+|NaN")
"""Columns without a blank between them; forces have six decimals."""
NO_NUMBER = re.compile(r"\*+|[-+]?NaN|[-+]?Infinity")
"""What Fortran prints in place of one."""


def number(text: str) -> float:
    """The number that a word is.

    Raises
    ------
    ValueError
        If it is none: stars where it did not fit, NaN, or what damage has left.
    """
    word = text.strip()
    if not NUMBER.fullmatch(word):
        raise ValueError(f"{word!r} is no number")
    return float(re.sub("[Dd]", "E", word))


def read_forces(rows: Iterable[str]) -> Array:
    """Positions in Å and forces in eV/Å, shape (n, 6).

    Columns behind these are left out: they hold forces without a part that belongs to the others,
    and may be NaN.

    Raises
    ------
    ValueError
        If a row holds something else than such numbers, or numbers of another precision.
    """
    lines = list(rows)
    table = [_columns(line)[:NEEDED] for line in lines]
    for column in zip(*table, strict=True):
        if len({len(word.partition(".")[2]) for word in column}) > 1:
            raise ValueError("numbers of one column of the forces differ in their decimals")
    return np.array([[float(word) for word in row] for row in table]).reshape(-1, NEEDED)


def _columns(line: str) -> list[str]:
    words: list[str] = []
    for word in line.split():
        parts = TOUCHING.findall(word)
        words += parts if "".join(parts) == word else [word]
    known, others = words[:NEEDED], words[NEEDED:]
    if (
        len(known) < NEEDED
        or not all(map(DECIMAL.fullmatch, known))
        or not all(DECIMAL.fullmatch(each) or NO_NUMBER.fullmatch(each) for each in others)
    ):
        raise ValueError(f"{line.strip()!r} are not {NEEDED} numbers")
    return words
