"""What is read of the relaxations of one path, and how each is put together."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.join import join_records, only_one_structure
from finetuna_flows.relaxation.recorded.record import UNKNOWN, Entry, Record
from finetuna_flows.relaxation.recorded.recording import UNRECORDED, Reading, Recording
from finetuna_flows.relaxation.recorded.starts import FirstGeometry, StartingStructures
from finetuna_flows.relaxation.vasp.match import Indices, matched
from finetuna_flows.structures.constraints import with_cartesian_constraints
from finetuna_flows.structures.fingerprint import start_key
from finetuna_flows.structures.tags import ADSORBATE_FROM, NAMED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A path, and what is the same for all relaxations there."""

    path: Path
    reading: Reading
    like: Atoms | None
    """The structure that was relaxed; None where it is not known."""
    starts: StartingStructures | None
    """Of which each relaxation started from one; None where there are none."""

    def wanted(self, system: str, method: str) -> bool:
        """Whether this relaxation is to be read."""
        return self.reading.only in (None, (system, method))

    def labelled(self, start: Atoms, system: str) -> Atoms:
        """Copy with no info but the structure's label and whether its adsorbate was named.

        Of `like`, where there is one, all info comes along.
        """
        copy: Atoms = start.copy()
        if self.like is None:
            named = {ADSORBATE_FROM: NAMED} if start.info.get(ADSORBATE_FROM) == NAMED else {}
            copy.info = {"system": system, **named}
        else:
            said = {"system": self.reading.system} if self.reading.system is not None else {}
            copy.info = {**self.like.info, **said}
        return copy


def read_records(
    entries: Sequence[Entry], damaged: list[str], surrogates: Collection[str] = ()
) -> list[Record]:
    """Those that can be read; what is wrong with the others goes to `damaged`.

    Where the first cannot be read, it says there too with which one the others begin.
    """
    records: list[Record] = []
    lost = len(damaged)
    for entry in entries:
        try:
            record = entry.record(surrogates)
        except ParentError as error:
            damaged.append(str(error))
            continue
        if not records and len(damaged) > lost:
            damaged[-1] += f"; so what is left begins at {record.where}"
        damaged += record.damaged
        records.append(record)
    return records


def joined(
    records: list[Record],
    damaged: list[str],
    system: str,
    method: str,
    source: Source,
    *,
    lost: int = 0,
) -> Recording:
    """The relaxation that `records` are, with its labels; `damaged` tells what is left out.

    `lost` geometries were there that cannot be read; where all others are labelled, each of them
    is a call that was paid for.
    """
    if not records:
        why = damaged[0] if damaged else f"{source.path} holds no geometry that can be read"
        error = ParentError(f"{why}; so nothing is left of it")
        return Recording(system, method, error, tuple(damaged))
    first_key = start_key(records[0].atoms)
    try:
        kept, odd = only_one_structure(records)
        damaged += odd
        start, order = _start(kept[0], system, source)
        found = join_records(
            kept,
            start=start,
            order=order,
            method=method,
            level=source.reading.level or _level(kept, source.path),
            threshold=source.reading.fmax,
        )
        paid = all(record.label is not None for record in records)
        result: Relaxation | FinetunaError | ValueError = replace(
            found, lost_calls=lost + len(odd) if paid else 0
        )
    except (FinetunaError, ValueError) as error:
        result = error
    return Recording(system, method, result, tuple(damaged), first_key=first_key)


def _start(record: Record, system: str, source: Source) -> tuple[Atoms, Indices]:
    atoms = with_cartesian_constraints(record.atoms)
    first = FirstGeometry(record.where, atoms, bool(atoms.constraints))
    found = source.starts.find(first, system) if source.starts is not None else None
    if found is None:
        if source.starts is not None:
            tell_of_no_start(record.where)
        found = (atoms, np.arange(len(atoms)))
        if source.like is not None:
            found = matched(first, source.like)
    start, order = found
    if start.pbc.any() and not start.constraints:
        logger.warning("%s says of no atom that it is fixed; all count as free", record.where)
    return source.labelled(start, system), order


def tell_of_no_start(source: str) -> None:
    """Say that a relaxation has none of the starting structures that were given."""
    logger.warning(
        "%s: none of the starting structures lies there or is called so; tags stay as they are",
        source,
    )


def _level(records: Sequence[Record], path: Path) -> str:
    """The name of the parent alone is no level, so what one file holds is a level of its own."""
    names = [record.calculator for record in records if record.label is not None]
    name = names[0] if names and names[0] != UNKNOWN else "unknown parent"
    return f"{name}, {UNRECORDED} {path.resolve()}"
