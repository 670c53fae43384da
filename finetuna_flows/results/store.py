"""The stores that keep documents: the user's own where jobflow has one, else a local file.

What is in them is found by the functions of `results.find`, which are here too, and comes as pandas
DataFrames from `results.dataframe`, as files from `results.export`.
"""

from __future__ import annotations

from pathlib import Path

from jobflow.core.store import JobStore
from jobflow.settings import JobflowSettings
from maggma.stores import MongoStore
from pymongo.errors import PyMongoError

from finetuna_flows.errors import StoreError
from finetuna_flows.results.completeness import REFERENCES
from finetuna_flows.results.find import (
    comparison_doc,
    count_relaxations,
    relaxation_doc,
    relaxation_docs,
    relaxation_summaries,
)
from finetuna_flows.results.mongo import MONGODB_LIMIT
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.settings import Settings

__all__ = [
    "LocalStore",
    "check_store",
    "comparison_doc",
    "count_relaxations",
    "default_job_store",
    "ensure_indexes",
    "local_job_store",
    "relaxation_doc",
    "relaxation_docs",
    "relaxation_summaries",
]

FILE_NAME = "results.sqlite"
TELLING = (
    "output.uuid",
    "output.formula_pretty",
    "output.chemsys",
    "output.elements",
    "output.adsorbate",
    "output.system",
    "output.name",
    "output.method",
    "output.tags",
    "output.completed_at",
    "output.last_updated",
)
"""Paths of which a value narrows a list of relaxations down to few."""
DIVIDING = (
    "index",
    "output.@class",
    "output.parent_mode",
    "output.level_of_theory",
    "output.converged",
    "output.stop_reason",
    "output.integrity",
    "output.nsites",
    "output.parent_calls",
    "output.energy",
    "output.fmax",
)
"""Paths of which a value does so together with others, and those by which lists are sorted."""
TOLD = (
    "uuid",
    "output.energy_per_atom",
    "output.fmax_threshold",
    "output.n_steps",
    "output.query_reasons",
    "output.replayed_calls",
    "output.scf_cycles",
    "output.timings",
    *REFERENCES,
)
"""Paths that lists and tables show besides."""


def local_job_store(path: str | Path) -> JobStore:
    """Return a JobStore in the folder `path`: documents, and their large parts in ``data``.

    Documents have MongoDB's size limit here too, so that what works locally works there. They are
    indexed as `ensure_indexes` says from the first connection on.
    """
    file = Path(path) / FILE_NAME
    return JobStore(
        LocalStore(
            file,
            "outputs",
            document_limit=MONGODB_LIMIT,
            indexed=(*TELLING, *DIVIDING),
            carried=TOLD,
        ),
        additional_stores={"data": LocalStore(file, "outputs_blobs", key="blob_uuid")},
    )


def default_job_store() -> JobStore:
    """Return the store that jobflow is configured for, else the one that the settings name."""
    configured = JobflowSettings()
    if "JOB_STORE" in configured.model_fields_set:
        return configured.JOB_STORE
    return local_job_store(Settings().store_path)


def check_store(store: JobStore) -> None:
    """Connect a store, see that it answers and can hold what a relaxation leaves, and index it.

    Raises
    ------
    StoreError
        If it does not answer, or lacks the additional store ``data``.
    """
    if "data" not in getattr(store, "additional_stores", {}):
        raise StoreError(
            f"{store.name} has no additional store `data` for trajectories and ledgers; "
            "add one to JOB_STORE in jobflow.yaml",
            retryable=False,
        )
    try:
        store.connect()
        store.count({"uuid": ""})
        ensure_indexes(store)
    except PyMongoError as exc:
        raise StoreError(f"{store.name} does not answer: {exc}") from exc


def ensure_indexes(store: JobStore) -> None:
    """Index a connected store for `results.find`, as far as it is not yet indexed.

    A `LocalStore` then answers from its index alone. In MongoDB each path of `TELLING` gets an
    index of its own, made in the background; they are all under ``output``, so of other documents
    in the collection they hold next to nothing. Where the user may not make one, queries are slower
    and nothing else.
    """
    docs = store.docs_store
    if isinstance(docs, LocalStore):
        docs.ensure_indexes((*TELLING, *DIVIDING), TOLD)
        return
    known: set[str] = set()
    if isinstance(docs, MongoStore):  # one question instead of one for each path
        found = docs._collection.index_information().values()
        known = {index["key"][0][0] for index in found}
    for path in TELLING:
        if path not in known:
            docs.ensure_index(path)
