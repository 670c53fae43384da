"""INCAR files as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pymatgen.io.vasp import Incar

FORTRAN = re.compile(r"(?<![\w.])([-+]?(?:\d+\.?\d*|\.\d+))[dD]([-+]?\d+)(?![\w.])")
"""A number with Fortran's exponent of double precision."""
REPEATED = re.compile(r"(\d+)\*(\S+)")
"""So many times the same, as in ``16*0.6``."""


def read_incar(path: Path) -> Incar:
    """Read an INCAR by pymatgen, and see that it has read all numbers.

    pymatgen takes ``1D-6`` for 1 and ``1E2`` for 1 where it expects an integer; exponents of
    Fortran are therefore written as others, and what still differs is refused.

    Raises
    ------
    ValueError
        If a number was not read as it stands there; the message names tag and value.
    """
    text = FORTRAN.sub(r"\1E\2", path.read_text(errors="replace"))
    incar = Incar.from_str(text)
    for tag, words in _tags(text):
        said = _numbers(words)
        read = _flat(incar.get(tag, []))
        if said is not None and read is not None and said != read:
            raise ValueError(
                f"{tag} is {words!r} in {path} but is read as {incar[tag]!r}; write it plainly, "
                "such as 100 or 1E-6"
            )
    return incar


def _tags(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.split(r"[!#]", line)[0]
        for part in plain.split(";"):
            tag, sign, words = part.partition("=")
            if sign and words.strip():
                yield tag.strip().upper(), words.strip()


def _numbers(words: str) -> list[float] | None:
    """The numbers that a value consists of; None where it has other words."""
    found: list[float] = []
    for word in words.split():
        repeated = REPEATED.fullmatch(word)
        try:
            found += int(repeated[1]) * [float(repeated[2])] if repeated else [float(word)]
        except ValueError:
            return None
    return found


def _flat(value: object) -> list[float] | None:
    """The numbers in what was read; None where it is a word or a truth value."""
    if isinstance(value, bool | str):
        return None
    if isinstance(value, list | tuple):
        parts = [_flat(each) for each in value]
        return None if None in parts else [each for part in parts if part for each in part]
    return [float(str(value))]
