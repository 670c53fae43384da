"""In what two levels of theory differ, where both are VASP's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from finetuna_flows.vasp.level import ENGINE, STAND_IN
from finetuna_flows.vasp.level_tags import is_known

WORDS = re.compile(rf"(?P<engine>{ENGINE}|{STAND_IN}) (?P<words>.*), (?P<data>PAW .*)")
ALWAYS_SAID = 5
"""Words of each level before those of single tags: functional, cutoff, smearing, spin, k-points."""


@dataclass(frozen=True)
class _Level:
    said: tuple[str, ...]
    """Engine, what is always said, PAW data sets."""
    tags: Mapping[str, str]


def level_difference(one: str, other: str) -> str:
    """Say in what two levels in the words of `vasp_level` differ.

    Returns an empty text where they are equal, or one of them is in other words.
    """
    first, second = _parsed(one), _parsed(other)
    if first is None or second is None:
        return ""
    return ", and ".join(f"in {words}" for words in _differing(first, second))


def _parsed(level: str) -> _Level | None:
    match = WORDS.fullmatch(level)
    words = match["words"].split(", ") if match else []
    if match is None or len(words) < ALWAYS_SAID:
        return None
    said = (match["engine"], *words[:ALWAYS_SAID], match["data"])
    return _Level(said, dict(_halved(each) for each in words[ALWAYS_SAID:]))


def _halved(word: str) -> tuple[str, str]:
    tag, _, value = word.partition(" ")
    return tag, value


def _differing(one: _Level, other: _Level) -> Iterator[str]:
    for mine, theirs in zip(one.said, other.said, strict=True):
        if mine != theirs:
            yield f"{mine} instead of {theirs}"
    for tag in sorted({*one.tags, *other.tags}):
        mine, theirs = one.tags.get(tag, ""), other.tags.get(tag, "")
        if mine == theirs:
            continue
        against = f" instead of {theirs}" if mine and theirs else ""
        unknown = "" if is_known(tag) else ", which this package does not know"
        yield f"{tag}={mine or theirs}{against}{unknown}"
