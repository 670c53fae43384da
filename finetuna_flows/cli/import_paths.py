"""Which of many named paths hold something to import, and which lie there by the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from finetuna_flows.relaxation.recorded.formats import NoRelaxationError, kind_of

INPUTS = frozenset({"INCAR", "KPOINTS", "POSCAR", "POTCAR", "POTCAR.spec"})
INPUT_ENDINGS = frozenset({".abi", ".fdf", ".in", ".inp", ".nw", ".nwi", ".pwi"})
SHOWN = 4
"""Names of files that are told."""


def split_paths(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Those that may hold relaxations; and of those that are passed over, why.

    Raises
    ------
    ValueError
        If a path is not there, or is of no use and was named by itself; see `may_pass_over`.
    """
    held: list[Path] = []
    passed: list[str] = []
    for path in paths:
        try:
            kind_of(path)
        except NoRelaxationError as error:
            if not may_pass_over(path, paths):
                raise
            passed.append(why_passed_over(path, error))
        else:
            held.append(path)
    if not held:
        raise ValueError(f"none of the {len(paths)} paths holds a relaxation: {'; '.join(passed)}")
    return held, passed


def may_pass_over(path: Path, paths: Sequence[Path]) -> bool:
    """Whether a path that holds nothing may be left out: it was not named by itself.

    That is so where other paths are named too, and it is a calculation that was not run yet, or
    all that a pattern of a shell such as ``dir/*`` or ``dir/*/outputs`` stands for is named.
    """
    if len(set(paths)) < 2:
        return False
    return bool(_inputs(path)) or any(found <= set(paths) for found in _patterns(path, paths))


def why_passed_over(path: Path, error: Exception) -> str:
    """What a path holds instead of a relaxation."""
    if not path.is_dir():
        return str(error).partition(";")[0]
    names = sorted(each.name for each in path.iterdir())
    if not names:
        return f"{path} is an empty folder"
    told = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" * (len(names) > SHOWN))
    if inputs := _inputs(path):
        return f"{path} was not run yet: it holds inputs ({', '.join(inputs)}) and no results"
    return f"{path} holds no vasprun.xml and no OUTCAR but {told}; name files in it one by one"


def _inputs(path: Path) -> list[str]:
    """Names of input files in a folder."""
    if not path.is_dir():
        return []
    return sorted(
        each.name
        for each in path.iterdir()
        if each.name in INPUTS or each.suffix.lower() in INPUT_ENDINGS
    )


def _patterns(path: Path, paths: Sequence[Path]) -> Iterator[set[Path]]:
    """What each pattern stands for that has one star in one part of the path."""
    parts = path.parts
    for place, part in enumerate(parts):
        alike = [
            other.parts[place]
            for other in paths
            if len(other.parts) == len(parts)
            and other.parts[:place] == parts[:place]
            and other.parts[place + 1 :] == parts[place + 1 :]
        ]
        if part == path.anchor or len(alike) < 2:
            continue
        begins, ends = _common(alike), _common([each[::-1] for each in alike])[::-1]
        folder = Path(*parts[:place])
        found = {
            folder.joinpath(each.name, *parts[place + 1 :])
            for each in folder.iterdir()
            if each.name.startswith(begins)
            and each.name.endswith(ends)
            and (begins or not each.name.startswith("."))
        }
        there = {each for each in found if each.exists()}
        yield there
        if all(folder.joinpath(each, *parts[place + 1 :]).is_dir() for each in alike):
            yield {each for each in there if each.is_dir()}  # as of dir/*/


def _common(words: Sequence[str]) -> str:
    """How all of them begin."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in alike)
