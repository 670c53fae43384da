"""Run flows with progress on the console; collect their documents and how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobStore
from rich.console import Console

from finetuna_flows.cli.exits import Exit
from finetuna_flows.cli.progress import shown
from finetuna_flows.errors import CheckpointError, StructureError
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.store import check_store, default_job_store, local_job_store


def open_store(path: Path | None) -> JobStore:
    """The store that was named, else jobflow's own, else the local one of the settings.

    Raises
    ------
    StoreError
        If it does not answer, or has no place for trajectories and ledgers.
    """
    store = local_job_store(path) if path is not None else default_job_store()
    check_store(store)
    return store


def run_flow(
    flow: Flow | Job, store: JobStore, root: Path, console: Console, *, fresh: bool
) -> Iterator[tuple[str, Any]]:
    """Run a flow's jobs; yield the name of each with its document or with what ended it."""
    with shown(console):
        for job, result in run_in_folders(flow, store, root, fresh=fresh):
            yield job.name, result if isinstance(result, Exception) else result.output


def exit_code(results: list[Any]) -> Exit:
    """The worst of how the relaxations ended."""
    errors = [each for each in results if isinstance(each, Exception)]
    if errors:
        refused = all(isinstance(each, CheckpointError | StructureError) for each in errors)
        return Exit.REFUSED if refused else Exit.FAILED
    docs = [each for each in results if isinstance(each, RelaxationDoc)]
    return Exit.DONE if all(doc.converged for doc in docs) else Exit.NOT_CONVERGED
