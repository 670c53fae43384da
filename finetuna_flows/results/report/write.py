"""From a store to the file; of all relaxations only one is held whole at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from jobflow.core.store import JobStore
from pydantic import ValidationError

from finetuna_flows.errors import StoreError
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.filters import relaxation_criteria
from finetuna_flows.results.report.details import details, packed
from finetuna_flows.results.report.gathered import Gathered
from finetuna_flows.results.report.measured import Measured
from finetuna_flows.results.report.overview import overview
from finetuna_flows.results.report.page import detail_block, page
from finetuna_flows.results.report.rows import columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """What a report holds."""

    path: Path
    size: int
    """Bytes."""
    relaxations: int
    systems: int
    reference: str | None
    """None where nothing was compared."""


def write_report(
    docs: Iterable[RelaxationDoc],
    measured: Measured,
    path: str | Path,
    *,
    title: str,
    detailed: bool = True,
    seen: Callable[[int], None] | None = None,
) -> Written:
    """Write the report; a file of that name is replaced when all is done, and not before.

    Parameters
    ----------
    docs
        Taken one after the other; with trajectory and ledger loaded if `detailed`.
    measured
        What comparisons say of them.
    path
        Of the file, in a folder that exists.
    title
        Of the report.
    detailed
        Whether each relaxation has its curve, its ledger and its atoms.
    seen
        Told after each relaxation how many there were.

    Raises
    ------
    StoreError
        If there is no relaxation.
    ValueError
        If `path` is not a file in a folder that exists.
    """
    target = Path(path)
    if target.is_dir() or not target.resolve().parent.is_dir():
        raise ValueError(f"`path` is {target} but must be a file in a folder that exists")
    with TemporaryFile("w+", encoding="ascii", dir=target.resolve().parent) as spool:
        gathered = Gathered(measured)
        for number, doc in enumerate(docs, start=1):
            gathered.take(doc)
            if detailed:
                spool.write(detail_block(number - 1, packed(details(doc))))
            if seen is not None:
                seen(number)
        rows = gathered.rows
        if not rows:
            raise StoreError("there is no relaxation to report on", retryable=False)
        symbols = gathered.symbols if detailed else set()
        about = overview(measured.study, rows, symbols, title=title, detailed=detailed)
        with _replacing(target) as file:
            for piece in page(about, columns(rows), _blocks(spool)):
                file.write(piece)
    return Written(
        path=target,
        size=target.stat().st_size,
        relaxations=len(rows),
        systems=len({row.key for row in rows}),
        reference=measured.study.reference if measured.study else None,
    )


def stored_relaxations(
    store: JobStore, *, tag: str | None = None, load: bool = True
) -> Iterator[RelaxationDoc]:
    """Every relaxation in a connected store, one after the other.

    What cannot be read as a relaxation of this version is left out, with a warning.

    Parameters
    ----------
    store
        Connected.
    tag
        Only those with this tag.
    load
        Whether trajectories and ledgers come too.
    """
    for entry in store.query(relaxation_criteria({"tag": tag}), properties=["output"], load=load):
        doc = _validated(entry["output"])
        if doc is not None:
            yield doc


def _validated(output: Mapping[str, Any]) -> RelaxationDoc | None:
    try:
        return RelaxationDoc.model_validate(
            {name: value for name, value in output.items() if not name.startswith("@")}
        )
    except ValidationError as exc:
        logger.warning("relaxation %s is left out: %s", output.get("uuid"), exc)
        return None


def _blocks(spool: IO[str]) -> Iterator[str]:
    spool.seek(0)
    yield from spool


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A new file beside the old one, which it replaces when it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
