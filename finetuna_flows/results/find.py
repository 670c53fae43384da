"""Find what was kept: lists that load nothing large, and single documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from jobflow.core.store import JobStore
from pydantic import BaseModel
from pymatgen.core.composition import Composition

from finetuna_flows.errors import StoreError
from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.results.document_parts import Document, UtcTime
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc

DocT = TypeVar("DocT", bound=BaseModel)
SHOWN = 10
"""Uuids that an error names."""


class RelaxationSummary(Document):
    """One line of a list of relaxations; each field is the one of `RelaxationDoc`."""

    uuid: str
    name: str
    tags: tuple[str, ...]
    formula_pretty: str
    chemsys: str
    nsites: int
    method: str
    level_of_theory: str
    converged: bool
    energy: float | None
    fmax: float | None
    n_steps: int
    parent_calls: int
    stop_reason: StopReason
    integrity: Integrity
    completed_at: UtcTime


def relaxation_summaries(
    store: JobStore,
    *,
    formula: str | None = None,
    chemsys: str | None = None,
    name: str | None = None,
    method: str | None = None,
    converged: bool | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    limit: int = 0,
) -> Iterator[RelaxationSummary]:
    """List the relaxations in a connected store, newest first; None does not narrow it down.

    Parameters
    ----------
    formula
        Of the whole structure, in any form: ``CuO2``, ``Cu2O4``.
    chemsys
        Elements in any order: ``O-Cu``.
    name
        As in `RelaxationDoc.name`: from the command line the preset, which `method` does not tell.
    method
        As in `RelaxationDoc.method`.
    converged
        Whether the parent's forces reached the threshold.
    tag
        One of the tags.
    since
        Completed at this time or later.
    limit
        At most so many; 0 for all.
    """
    wanted = {
        "formula_pretty": Composition(formula).reduced_formula if formula else None,
        "chemsys": "-".join(sorted(chemsys.split("-"))) if chemsys else None,
        "name": name,
        "method": method,
        "converged": converged,
        "tags": tag,
        "completed_at": {"$gte": since} if since else None,
    }
    criteria = {f"output.{key}": value for key, value in wanted.items() if value is not None}
    found = store.query(
        {**_is_a(RelaxationDoc), **criteria},
        properties=[f"output.{key}" for key in RelaxationSummary.model_fields],
        sort={"output.completed_at": -1},
        limit=limit,
        load=False,
    )
    for entry in found:
        yield RelaxationSummary.model_validate(entry["output"])


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
        If there is none, or more than one.
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


def _only(store: JobStore, kind: type[DocT], uuid: str, *, load: bool) -> DocT:
    start = {"$regex": f"^{re.escape(uuid)}"}
    criteria = {**_is_a(kind), "$or": [{"output.uuid": start}, {"uuid": start}]}
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
    (entry,) = store.query({"output.uuid": found[0]}, properties=["output"], limit=1, load=load)
    return kind.model_validate(_fields(entry["output"]))


def _is_a(kind: type[BaseModel]) -> dict[str, str]:
    return {"output.@class": kind.__name__}


def _fields(output: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys with which monty marks a class."""
    return {name: value for name, value in output.items() if not name.startswith("@")}
