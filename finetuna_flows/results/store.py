"""The stores that keep documents: the user's own where jobflow has one, else a local file."""

from __future__ import annotations

from pathlib import Path

from jobflow.core.store import JobStore
from jobflow.settings import JobflowSettings
from pymongo.errors import PyMongoError

from finetuna_flows.errors import StoreError
from finetuna_flows.results.mongo import MONGODB_LIMIT
from finetuna_flows.results.sqlite_store import LocalStore
from finetuna_flows.settings import Settings

__all__ = ["LocalStore", "default_job_store", "local_job_store"]

FILE_NAME = "results.sqlite"


def local_job_store(path: str | Path) -> JobStore:
    """Return a JobStore in the folder `path`: documents, and their large parts in ``data``.

    Documents have MongoDB's size limit here too, so that what works locally works there.
    """
    file = Path(path) / FILE_NAME
    return JobStore(
        LocalStore(file, "outputs", document_limit=MONGODB_LIMIT),
        additional_stores={"data": LocalStore(file, "outputs_blobs", key="blob_uuid")},
    )


def default_job_store() -> JobStore:
    """Return the store that jobflow is configured for, else the one that the settings name."""
    configured = JobflowSettings()
    if "JOB_STORE" in configured.model_fields_set:
        return configured.JOB_STORE
    return local_job_store(Settings().store_path)


def check_store(store: JobStore) -> None:
    """Connect a store and see that it answers and can hold what a relaxation leaves.

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
    except PyMongoError as exc:
        raise StoreError(f"{store.name} does not answer: {exc}") from exc
