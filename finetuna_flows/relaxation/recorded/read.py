"""Relaxations that were run elsewhere, one after the other, from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ase import Atoms

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.relaxation.recorded.assembly import (
    Source,
    joined,
    read_records,
    tell_of_no_start,
)
from finetuna_flows.relaxation.recorded.formats import Kind, kind_of, open_contents
from finetuna_flows.relaxation.recorded.groups import Group, grouped
from finetuna_flows.relaxation.recorded.labels import (
    UnlabelledError,
    holds_no_label,
    kept_values,
    relabelled,
)
from finetuna_flows.relaxation.recorded.layout import LEVEL, SURROGATES, Released, released
from finetuna_flows.relaxation.recorded.record import Contents, Entry, Record, entry_of
from finetuna_flows.relaxation.recorded.recording import METHOD, Reading, Recording
from finetuna_flows.relaxation.recorded.starts import StartingStructures
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.read import read_vasp_runs
from finetuna_flows.structures.fingerprint import start_key
from finetuna_flows.structures.names import name_of

OF_FILES = ("method", "system", "by", "keys")
"""What is said of files that do not say it themselves."""


def recordings(
    path: str | Path,
    reading: Reading | None = None,
    *,
    like: Atoms | None = None,
    starts: StartingStructures | None = None,
) -> Iterator[Recording]:
    """Read the relaxations that a path holds, one after the other.

    Only one is in memory at a time; of JSON and rarer formats it is the whole file.

    Parameters
    ----------
    path
        See `formats.kind_of`.
    reading
        How; None: as the files say it.
    like
        The structure that was relaxed: all get its order of atoms, images, tags and constraints,
        and those that started elsewhere are refused.
    starts
        Structures of which each relaxation started from one, and gets its tags and constraints;
        the log says where there is none.

    Raises
    ------
    ValueError
        If the path as a whole is none that can be read so. What is wrong with one relaxation
        alone is told in its `Recording`.
    ParentError
        If a file is so damaged that nothing of it is left.
    """
    source = Source(Path(path), reading or Reading(), like, starts)
    kind = kind_of(source.path)
    if kind is Kind.VASP:
        found = _vasp(source)
        if isinstance(found.result, Exception) or source.wanted(found.system, found.method):
            yield found
    elif kind is Kind.RELEASED:
        yield from _released(source)
    else:
        yield from _of_file(source, kind)


def _vasp(source: Source) -> Recording:
    system, reading = source.reading.system or name_of(source.path), source.reading
    if reading.keys is not None:
        raise ValueError(f"{source.path} is VASP's own, whose labels are found; leave --keys out")
    if reading.method is not None or reading.by is not None:
        raise ValueError(
            f"{source.path} is VASP's own, which says itself how it relaxed one structure; leave "
            "--method and --by out, and name it with --name"
        )
    first_key, damaged = "", tuple[str, ...]()
    try:
        runs = read_vasp_runs(source.path)
        first_key = start_key(runs[0].start)
        damaged = tuple(words for run in runs for words in run.told)
        like = source.like
        if source.starts is not None:
            found = source.starts.find(runs[0], None)  # VASP's files tell the whole way
            like = found[0] if found else None
            if found is None:
                tell_of_no_start(runs[0].source)
        result = join_runs(runs, fmax=reading.fmax, like=like)
    except (FinetunaError, ValueError) as error:
        return Recording(system, "VASP", error, damaged, first_key=first_key)
    start = source.labelled(result.start, system)
    result = replace(result, start=start, level=reading.level or result.level)
    return Recording(system, result.method, result, damaged, first_key=first_key)


def _released(source: Source) -> Iterator[Recording]:
    reading = source.reading
    said = [
        name for name in ("method", "system", "by", "keys") if getattr(reading, name) is not None
    ]
    if said:
        raise ValueError(
            f"{source.path} says itself which systems and methods it holds; leave "
            f"{', '.join(f'--{name}' for name in said)} out"
        )
    source = replace(source, reading=replace(reading, level=reading.level or LEVEL))
    for each in released(source.path):
        if source.wanted(each.system, each.method):
            yield _one_released(each, source)


def _one_released(each: Released, source: Source) -> Recording:
    """Both files of a warm start together, the predictions first."""
    walks: list[list[Record]] = []
    labelled: list[Path] = []
    damaged: list[str] = []
    for file in each.files:
        try:
            with open_contents(file, kind_of(file)) as contents:
                damaged += contents.damaged
                records = read_records(contents.entries, damaged, SURROGATES)
        except (FinetunaError, ValueError) as error:
            damaged.append(str(error))
            continue
        by_parent = any(record.label is not None for record in records)
        labelled += [file] if by_parent else []
        walks.insert(len(walks) if by_parent else 0, records)
    if len(labelled) > 1:
        twice = " and ".join(str(file) for file in labelled)
        refusal = ValueError(f"{twice} are both of {each.system}; take one of them away")
        return Recording(each.system, each.method, refusal, tuple(damaged))
    found = joined([*chain(*walks)], damaged, each.system, each.method, source)
    return replace(found, group=(each.system, each.method))


def _of_file(source: Source, kind: Kind) -> Iterator[Recording]:
    path, reading = source.path, source.reading
    with open_contents(path, kind) as contents:
        if reading.keys is not None:
            contents = _relabelled(contents, reading.keys, path)
        groups = grouped(contents, reading.by, path.name)
        _refuse_labels_twice(groups[0], source)
        for group in groups:
            system = group.system or reading.system or name_of(path)
            method = group.method or reading.method or METHOD
            if not source.wanted(system, method):
                continue
            damaged = [*group.damaged]
            records = read_records(group.entries, damaged)
            lost = len(group.entries) - len(records)
            found = joined(records, damaged, system, method, source, lost=lost)
            if not records and _are_unlabelled(group):
                found = replace(found, result=UnlabelledError(str(found.result)))
            yield replace(found, group=(group.system or "", group.method or ""))


def _are_unlabelled(group: Group) -> bool:
    """Whether all of it can be read, and is structures alone."""
    try:
        return not group.damaged and all(holds_no_label(each.atoms()) for each in group.entries)
    except ParentError:
        return False


def _relabelled(contents: Contents, keys: Mapping[str, str], path: Path) -> Contents:
    """The same frames, with labels from other names, one of which at least must be there."""
    for quantity, key in keys.items():
        there: set[str] = set()
        for entry in contents.entries:
            try:
                kept = kept_values(entry.atoms())
            except ParentError:
                continue
            there |= set(kept)
            if key in kept:
                break
        else:
            raise ValueError(
                f"--keys says that the {quantity} is called {key!r} but nothing in {path} is; it "
                f"has: {', '.join(sorted(there)) or 'nothing'}"
            )
    return replace(contents, entries=tuple(_other_labels(each, keys) for each in contents.entries))


def _other_labels(entry: Entry, keys: Mapping[str, str]) -> Entry:
    return entry_of(entry.where, entry.keys, lambda: relabelled(entry.atoms(), keys, entry.where))


def _refuse_labels_twice(group: Group, source: Source) -> None:
    for name in ("system", "method"):
        said, kept = getattr(source.reading, name), getattr(group, name)
        if said is not None and kept is not None:
            raise ValueError(
                f"--{name} is {said!r} but {source.path} says it itself ({kept!r}, …); leave it out"
            )
