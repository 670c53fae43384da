"""Which frames of a file are one relaxation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finetuna_flows.relaxation.recorded.record import Contents, Entry

RECOGNISED = (("system", "method"), ("sid", "method"))
"""Keys of a frame's info, or of a row, that say the system and the method where all have them."""


@dataclass(frozen=True)
class Group:
    """The frames of one relaxation, in their order."""

    system: str | None
    """What the file calls the structure; None where it does not say."""
    method: str | None
    """What the file calls the way it was relaxed; None where it does not say."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Grouping:
    """The relaxations of a file, in the order of their first frames."""

    groups: tuple[Group, ...]
    damaged: tuple[str, ...]
    """What belongs to none of them, in words."""


def parse_keys(words: str) -> tuple[str, str]:
    """Split ``SYSTEM,METHOD`` into the two keys; either may be empty, and the second left out.

    Raises
    ------
    ValueError
        If there are more than two, or none.
    """
    system, _, method = (part.strip() for part in words.partition(","))
    if "," in method or not (system or method):
        raise ValueError(
            f"the keys are {words!r} but must be like sid,method: what tells structures apart and "
            "what tells methods apart (either may be empty)"
        )
    return system, method


def grouped(contents: Contents, by: tuple[str, str] | None, name: str) -> Grouping:
    """Put frames of one system and one method together.

    Parameters
    ----------
    contents
        Of one file.
    by
        The keys of system and method, empty where there is none. None: those of `RECOGNISED` that
        every frame has, else all frames are one relaxation.
    name
        What to call the file.

    Raises
    ------
    ValueError
        If a frame lacks a key that was asked for.
    """
    known = [entry for entry in contents.entries if entry.keys is not None]
    chosen = by or next((pair for pair in RECOGNISED if known and _all_have(known, pair)), ("", ""))
    for key in filter(None, chosen):
        lacking = [entry for entry in known if key not in (entry.keys or {})]
        if lacking:
            there = sorted(lacking[0].keys or {})
            raise ValueError(
                f"{lacking[0].where} has no key {key!r} that would tell relaxations of {name} "
                f"apart; it has {', '.join(there) or 'none'}"
            )
    if chosen == ("", ""):
        return Grouping((Group(None, None, contents.entries),), contents.damaged)
    members: dict[tuple[str | None, str | None], list[Entry]] = {}
    lost = []
    for entry in contents.entries:
        if entry.keys is None:
            lost.append(f"{entry.where} is so damaged that it cannot be told whose it is")
        else:
            members.setdefault(_values(entry.keys, chosen), []).append(entry)
    groups = (Group(*labels, tuple(entries)) for labels, entries in members.items())
    return Grouping(tuple(groups), (*contents.damaged, *lost))


def _all_have(entries: Iterable[Entry], pair: tuple[str, str]) -> bool:
    return all(key in (entry.keys or {}) for entry in entries for key in pair)


def _values(keys: Mapping[str, object], chosen: tuple[str, str]) -> tuple[str | None, str | None]:
    system, method = chosen
    return str(keys[system]) if system else None, str(keys[method]) if method else None
