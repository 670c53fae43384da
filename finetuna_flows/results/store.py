"""The stores that keep documents: the user's own where jobflow has one, else a local file."""

from __future__ import annotations

from pathlib import Path

from jobflow.core.store import JobStore
from jobflow.settings import JobflowSettings

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
