"""Find what was kept: lists and counts that load nothing large, and whole documents.

A store that `results.store.check_store` has seen answers from its indexes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, Unpack, cast

from jobflow.core.store import JobStore
from pydantic import BaseModel

from finetuna_flows.errors import StoreError
from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.results.completeness import (
    REFERENCES,
    WAY_OUT,
    data_store,
    missing_parts,
    sentence,
    with_missing_parts,
)
from finetuna_flows.results.document_parts import Document, Timings, UtcTime
from finetuna_flows.results.documents import DATA_KEYS, ComparisonDoc, RelaxationDoc
from finetuna_flows.results.filters import (
    NEWEST_FIRST,
    Filters,
    Selection,
    relaxation_criteria,
    relaxation_order,
)

logger = logging.getLogger(__name__)

DocT = TypeVar("DocT", bound=BaseModel)
SHOWN = 10
"""Uuids that an error names."""
ORDER = Selection.__annotations__.keys() - Filters.__annotations__.keys()


class RelaxationSummary(Document):
    """One line of a list of relaxations; each field but the last is the one of `RelaxationDoc`."""

    uuid: str
    system: str | None = None
    name: str
    tags: tuple[str, ...]
    formula_pretty: str
    chemsys: str
    nsites: int
    adsorbate: str | None = None
    method: str
    parent_mode: str | None = None
    level_of_theory: str
    converged: bool
    energy: float | None
    energy_per_atom: float | None
    fmax: float | None
    fmax_threshold: float
    n_steps: int
    parent_calls: int
    replayed_calls: int
    scf_cycles: int | None
    timings: Timings
    stop_reason: StopReason
    integrity: Integrity
    completed_at: UtcTime
    last_updated: UtcTime
    complete: bool = True
    """Whether its trajectory and ledger are in the store too."""


def relaxation_summaries(
    store: JobStore, **selection: Unpack[Selection]
) -> Iterator[RelaxationSummary]:
    """List the relaxations in a connected store, newest first unless told otherwise.

    Parameters
    ----------
    store
        Connected.
    selection
        See `Selection` and `Filters`.

    Raises
    ------
    ValueError
        If a filter or the order means nothing.
    """
    for output in relaxation_fields(store, **selection):
        yield RelaxationSummary.model_validate(output)


def relaxation_fields(store: JobStore, **selection: Unpack[Selection]) -> Iterator[dict[str, Any]]:
    """The same as plain mappings, as the store gives them: for many thousands at once."""
    fields = RelaxationSummary.model_fields.keys() - {"complete"}
    wanted = [*(f"output.{field}" for field in sorted(fields)), *REFERENCES]
    found = (each["output"] for each in _query(store, selection, properties=wanted, load=False))
    for output, missing in with_missing_parts(found, data_store(store)):
        for key in DATA_KEYS:
            output.pop(key, None)
        yield output | {"complete": not missing}


def relaxation_docs(
    store: JobStore,
    *,
    load: bool = False,
    skip_incomplete: bool = False,
    **selection: Unpack[Selection],
) -> Iterator[RelaxationDoc]:
    """Whole documents, one after the other; parameters and errors as of `relaxation_summaries`.

    Parameters
    ----------
    load
        Whether to load trajectories and ledgers too.
    skip_incomplete
        Whether to pass over relaxations of which one of these is not there, with a warning.

    Raises
    ------
    StoreError
        If one of these is not there, and none is to be passed over.
    """
    if skip_incomplete:
        yield from _complete_docs(store, selection, load=load)
        return
    with _blobs_there(store):
        for entry in _query(store, selection, properties=["output"], load=load):
            yield RelaxationDoc.model_validate(_fields(entry["output"]))


def _complete_docs(store: JobStore, selection: Selection, *, load: bool) -> Iterator[RelaxationDoc]:
    found = (each["output"] for each in _query(store, selection, properties=["output"], load=False))
    for output, missing in with_missing_parts(found, data_store(store)):
        if missing:
            logger.warning("%s is passed over: its %s", output["uuid"], sentence(missing))
        elif load:
            yield relaxation_doc(store, output["uuid"], load=True)
        else:
            yield RelaxationDoc.model_validate(_fields(output))


def parts_missing(store: JobStore, doc: RelaxationDoc) -> tuple[str, ...]:
    """Which of ``trajectory`` and ``ledger`` of a document that is not loaded are not there."""
    return missing_parts(doc.model_dump(include=set(DATA_KEYS)), data_store(store))


def count_relaxations(store: JobStore, **filters: Unpack[Filters]) -> int:
    """How many relaxations a connected store has.

    Raises
    ------
    ValueError
        If a filter means nothing.
    """
    return store.count(relaxation_criteria(filters))


def relaxation_doc(store: JobStore, uuid: str, *, load: bool = False) -> RelaxationDoc:
    """One relaxation by its uuid, its job's uuid, or the beginning of either.

    Parameters
    ----------
    store
        Connected.
    uuid
        As many characters as make it the only one.
    load
        Whether to load trajectory and ledger too.

    Raises
    ------
    StoreError
        If there is none, or more than one, or its trajectory or ledger is missing.
    """
    return _only(store, RelaxationDoc, uuid, load=load)


def comparison_doc(store: JobStore, uuid: str) -> ComparisonDoc:
    """One comparison, looked up as in `relaxation_doc`.

    Raises
    ------
    StoreError
        If there is none, or more than one.
    """
    return _only(store, ComparisonDoc, uuid, load=False)


def _query(
    store: JobStore, selection: Selection, *, properties: list[str], load: bool
) -> Iterator[dict[str, Any]]:
    filters = cast("Filters", {k: v for k, v in selection.items() if k not in ORDER})
    return store.query(
        relaxation_criteria(filters),
        properties=properties,
        sort=relaxation_order(selection.get("sort", NEWEST_FIRST)),
        skip=selection.get("skip", 0),
        limit=selection.get("limit", 0),
        load=load,
    )


def _only(store: JobStore, kind: type[DocT], uuid: str, *, load: bool) -> DocT:
    start = {"$regex": f"^{re.escape(uuid)}"}
    criteria = {"output.@class": kind.__name__, "$or": [{"output.uuid": start}, {"uuid": start}]}
    found = [
        entry["output"]["uuid"]
        for entry in store.query(criteria, properties=["output.uuid"], limit=SHOWN, load=False)
    ]
    if not found:
        raise StoreError(
            f"no {kind.__name__} in {store.name} has a uuid that starts with {uuid!r}",
            retryable=False,
        )
    if len(found) > 1:
        raise StoreError(
            f"the uuid of more than one {kind.__name__} starts with {uuid!r}; "
            f"add characters: {', '.join(found)}",
            retryable=False,
        )
    with _blobs_there(store):
        (entry,) = store.query({"output.uuid": found[0]}, properties=["output"], limit=1, load=load)
    return kind.model_validate(_fields(entry["output"]))


@contextmanager
def _blobs_there(store: JobStore) -> Iterator[None]:
    """Say what is missing where a document refers to a blob that is not there."""
    try:
        yield
    except KeyError as exc:
        raise StoreError(
            f"a trajectory or ledger is missing in the additional store `data` of {store.name}, as "
            f"where a process was killed: there is no {exc}; {WAY_OUT}",
            retryable=False,
        ) from exc


def _fields(output: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys with which monty marks a class."""
    return {name: value for name, value in output.items() if not name.startswith("@")}
