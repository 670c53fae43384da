"""Whether all of a document is there: its large parts are written after it.

jobflow writes what a job returned before what of it goes to an additional store. A process that is
killed in between leaves a document whose trajectory or ledger is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from jobflow.core.store import JobStore
from maggma.core import Store

from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc

REFERENCES = tuple(f"output.{key}.blob_uuid" for key in DATA_KEYS)
"""Paths under which a stored document names its parts in the additional store ``data``."""
AT_ONCE = 500
"""Documents whose parts are looked for in one question to a store."""
WAY_OUT = "the same job, run again, writes it anew from its checkpoint"


def missing_parts(output: Mapping[str, Any], data: Store | None) -> tuple[str, ...]:
    """Which of ``trajectory`` and ``ledger`` a stored document refers to in vain.

    Parameters
    ----------
    output
        As the store has it, or at least what is at `REFERENCES`.
    data
        The additional store, connected; None where there is none, so that nothing is there.
    """
    ((_, missing),) = with_missing_parts([output], data)
    return missing


def with_missing_parts(
    outputs: Iterable[dict[str, Any] | Mapping[str, Any]], data: Store | None
) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Stored documents, each with what it refers to in vain; no part is loaded."""
    rest = iter(outputs)
    while some := list(islice(rest, AT_ONCE)):
        references = [_references(output) for output in some]
        wanted = sorted(set(chain.from_iterable(each.values() for each in references)))
        criteria = {"blob_uuid": {"$in": wanted}}
        found = () if data is None else data.query(criteria, properties=["blob_uuid"])
        there = {each["blob_uuid"] for each in found}
        for output, parts in zip(some, references, strict=True):
            yield dict(output), tuple(key for key, blob in parts.items() if blob not in there)


def data_store(store: JobStore) -> Store | None:
    """The additional store of trajectories and ledgers; None where there is none."""
    stores: Mapping[str, Store] = getattr(store, "additional_stores", {})
    return stores.get("data")


def sentence(missing: Sequence[str]) -> str:
    """What is missing, and how it comes back."""
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} missing, as where a process was killed; {WAY_OUT}"


def remove_incomplete(store: JobStore, doc: RelaxationDoc) -> list[str]:
    """Remove documents that an earlier try of the same run left without their parts.

    Parameters
    ----------
    store
        Connected.
    doc
        What the run has left in the end, whole. It is the same run if folder, name and formula
        are the same.

    Returns
    -------
    Uuids of the documents that went.
    """
    if doc.dir_name is None:
        return []
    criteria = {
        "output.@class": RelaxationDoc.__name__,
        "output.formula_pretty": doc.formula_pretty,
        "output.name": doc.name,
        "output.dir_name": doc.dir_name,
        "output.uuid": {"$ne": doc.uuid},
    }
    found = store.query(criteria, properties=["output.uuid", *REFERENCES], load=False)
    data = data_store(store)
    checked = list(with_missing_parts((entry["output"] for entry in found), data))
    gone = [output for output, missing in checked if missing]
    if gone:
        uuids = [output["uuid"] for output in gone]
        store.docs_store.remove_docs({"output.uuid": {"$in": uuids}})
    if gone and data is not None:
        blobs = list(chain.from_iterable(_references(output).values() for output in gone))
        data.remove_docs({"blob_uuid": {"$in": blobs}})
    return [output["uuid"] for output in gone]


def _references(output: Mapping[str, Any]) -> dict[str, str]:
    parts = {key: output.get(key) for key in DATA_KEYS}
    return {
        key: part["blob_uuid"]
        for key, part in parts.items()
        if isinstance(part, Mapping) and part.get("blob_uuid")
    }
