"""Relaxations of a store written to one file: as a table, or as structures to learn from.

A file is complete or not there, and replaces none unless that is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Unpack

import ase.db
import ase.io
from ase import Atoms
from jobflow.core.store import JobStore

from finetuna_flows.results.filters import Selection
from finetuna_flows.results.find import relaxation_docs, relaxation_summaries
from finetuna_flows.results.labelled import final_geometry, labelled_geometries


class FileKind(StrEnum):
    """What a file holds."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    EXTXYZ = "extxyz"
    ASE_DB = "ase-db"


SUFFIXES = {
    ".csv": FileKind.CSV,
    ".json": FileKind.JSON,
    ".jsonl": FileKind.JSONL,
    ".extxyz": FileKind.EXTXYZ,
    ".xyz": FileKind.EXTXYZ,
    ".db": FileKind.ASE_DB,
}
"""What a file is to hold where nothing else is said."""


@dataclass(frozen=True)
class Exported:
    """What came into a file."""

    relaxations: int
    rows: int
    """Lines of a table, or structures."""
    unlabelled: int = 0
    """Relaxations without a structure, because the parent never answered."""


def file_kind(path: Path) -> FileKind:
    """What a file is to hold by its suffix.

    Raises
    ------
    ValueError
        If the suffix does not say.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path} ends in {path.suffix!r}, which does not say what it is to hold; use one of "
            f"{', '.join(SUFFIXES)}, or name one of {', '.join(FileKind)}"
        )
    return SUFFIXES[path.suffix]


def export_table(
    store: JobStore,
    path: Path,
    kind: FileKind | None = None,
    *,
    force: bool = False,
    **selection: Unpack[Selection],
) -> Exported:
    """Write a row, or an object of JSON, for each `RelaxationSummary`.

    Parameters
    ----------
    store
        Connected.
    path
        Of the file.
    kind
        CSV (where tags are set apart by semicolons), JSON, or JSONL, an object a line; None: what
        the suffix says.
    force
        Replace a file that is there.
    selection
        See `Selection`.

    Raises
    ------
    ValueError
        If the file is there, its folder is not, nothing matches, or a word means nothing.
    """
    chosen = kind or file_kind(path)
    if chosen not in TABLES:
        raise ValueError(f"a table cannot be {chosen}; use one of {', '.join(TABLES)}")
    with _new(path, force=force) as part:
        rows = TABLES[chosen](store, selection, part)
        _refuse_nothing(rows, store)
    return Exported(rows, rows)


def export_structures(
    store: JobStore,
    path: Path,
    kind: FileKind | None = None,
    *,
    labels: bool = False,
    force: bool = False,
    **selection: Unpack[Selection],
) -> Exported:
    """Write geometries with the parent's energy (eV) and raw forces (eV/Å).

    Constraints and tags come along, and what `labelled.TOLD` names: in ``info``, in ASE's database
    as key-value pairs and, word for word, in ``data``.

    Parameters
    ----------
    store, path, force, selection
        See `export_table`.
    kind
        EXTXYZ or ASE_DB; None: what the suffix says.
    labels
        Every labelled geometry instead of the last one of each relaxation. A relaxation whose
        trajectory or ledger is missing is passed over then, which the log tells.

    Raises
    ------
    ValueError
        As of `export_table`.
    """
    chosen = kind or file_kind(path)
    if chosen not in STRUCTURES:
        raise ValueError(f"structures cannot be {chosen}; use one of {', '.join(STRUCTURES)}")
    relaxations = rows = unlabelled = 0
    with _new(path, force=force) as part, STRUCTURES[chosen](part) as write:
        for doc in relaxation_docs(store, load=labels, skip_incomplete=labels, **selection):
            final = final_geometry(doc)
            relaxations += 1
            unlabelled += final is None
            if final is not None:
                for atoms in labelled_geometries(doc) if labels else (final,):
                    write(atoms)
                    rows += 1
        _refuse_nothing(rows, store)
    return Exported(relaxations, rows, unlabelled)


def _refuse_nothing(rows: int, store: JobStore) -> None:
    if not rows:
        raise ValueError(f"nothing in {store.name} matches; no file is written")


@contextmanager
def _new(path: Path, *, force: bool) -> Iterator[Path]:
    """A file beside `path`, which becomes it when it is complete."""
    if path.exists() and not force:
        raise ValueError(f"{path} is there already; choose another name, or replace it (--force)")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path.parent} is not a folder; make it first")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _csv(store: JobStore, selection: Selection, path: Path) -> int:
    from finetuna_flows.results.dataframe import relaxations_dataframe

    frame = relaxations_dataframe(store, **selection)
    frame.assign(tags=frame["tags"].map(";".join)).to_csv(path, index=False)
    return len(frame)


def _json(store: JobStore, selection: Selection, path: Path) -> int:
    lines = [each.model_dump_json() for each in relaxation_summaries(store, **selection)]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return len(lines)


def _jsonl(store: JobStore, selection: Selection, path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for each in relaxation_summaries(store, **selection):
            file.write(each.model_dump_json() + "\n")
            rows += 1
    return rows


@contextmanager
def _extxyz(path: Path) -> Iterator[Callable[[Atoms], None]]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda atoms: ase.io.write(file, atoms, format="extxyz")


@contextmanager
def _ase_db(path: Path) -> Iterator[Callable[[Atoms], None]]:
    with ase.db.connect(path, type="db", use_lock_file=False) as database:
        yield lambda atoms: _write_row(database, atoms)


def _write_row(database: Any, atoms: Atoms) -> None:
    pairs = dict(_pairs(atoms.info.items()))
    database.write(atoms, key_value_pairs=pairs, data=atoms.info)


def _pairs(info: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """ASE refuses texts that read as numbers, and would look for the numbers."""
    for name, value in info:
        try:
            yield name, float(value)
        except ValueError:
            yield name, value


TABLES = {FileKind.CSV: _csv, FileKind.JSON: _json, FileKind.JSONL: _jsonl}
STRUCTURES = {FileKind.EXTXYZ: _extxyz, FileKind.ASE_DB: _ase_db}
