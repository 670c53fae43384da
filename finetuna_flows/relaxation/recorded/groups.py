"""Which frames of a file are one relaxation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finetuna_flows.errors import ParentError
from finetuna_flows.relaxation.recorded.record import Contents, Entry

Labels = tuple[str | None, str | None]

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
    damaged: tuple[str, ...] = ()
    """Parts of the file that are or may be of it but are no entries, in words."""


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


def grouped(contents: Contents, by: tuple[str, str] | None, name: str) -> tuple[Group, ...]:
    """Put frames of one system and one method together, in the order of their first frames.

    What cannot be told whose it is counts for the relaxations of the frames before and after it,
    and what breaks off at the end of the file for that of the last frame.

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
    ParentError
        If of no frame it can be told whose it is.
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
        return (Group(None, None, contents.entries, contents.damaged),)
    return _apart(contents, chosen, name)


def _apart(contents: Contents, chosen: tuple[str, str], name: str) -> tuple[Group, ...]:
    members: dict[Labels, list[Entry]] = {}
    damaged: dict[Labels, list[str]] = {}
    before: Labels | None = None
    lost: list[str] = []  # between the last frame and the next
    for entry in contents.entries:
        if entry.keys is None:
            lost.append(f"{entry.where} is so damaged that it cannot be told whose it is")
            continue
        labels = _values(entry.keys, chosen)
        if before is not None and before != labels:
            damaged[before] += lost
        if labels not in members:
            lost = [f"{words}; it may be where that of {entry.where} began" for words in lost]
        members.setdefault(labels, []).append(entry)
        damaged.setdefault(labels, []).extend(lost)
        before, lost = labels, []
    lost += contents.damaged
    if before is None:
        raise ParentError(f"{'; '.join(lost) or name}: so nothing is left of it")
    damaged[before] += lost
    return tuple(Group(*each, tuple(members[each]), tuple(damaged[each])) for each in members)


def _all_have(entries: Iterable[Entry], pair: tuple[str, str]) -> bool:
    return all(key in (entry.keys or {}) for entry in entries for key in pair)


def _values(keys: Mapping[str, object], chosen: tuple[str, str]) -> Labels:
    system, method = chosen
    return str(keys[system]) if system else None, str(keys[method]) if method else None
