"""Run flows with progress on the console; collect their documents and how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobStore
from rich.console import Console

from finetuna_flows.cli.exits import Exit
from finetuna_flows.cli.progress import shown
from finetuna_flows.errors import FinetunaError
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.store import default_job_store, local_job_store


def open_store(path: Path | None) -> JobStore:
    """The store that was named, else jobflow's own, else the local one of the settings."""
    store = local_job_store(path) if path is not None else default_job_store()
    store.connect()
    return store


def set_ledgers_aside(root: Path) -> None:
    """Rename the ledgers below `root`, so that the next run starts anew; nothing is deleted."""
    for ledger in sorted(root.glob(f"*/{LEDGER_NAME}")):
        number = 1
        while (aside := ledger.with_name(f"{LEDGER_NAME}.{number}")).exists():
            number += 1
        ledger.rename(aside)


def run_flow(
    flow: Flow | Job, store: JobStore, root: Path, console: Console
) -> Iterator[tuple[str, Any]]:
    """Run a flow's jobs; yield the name of each with its document or with what ended it."""
    with shown(console):
        for job, result in run_in_folders(flow, store, root):
            yield job.name, result if isinstance(result, FinetunaError) else result.output


def exit_code(results: list[Any]) -> Exit:
    """The worst of how the relaxations ended."""
    if any(isinstance(each, FinetunaError) for each in results):
        return Exit.FAILED
    docs = [each for each in results if isinstance(each, RelaxationDoc)]
    return Exit.DONE if all(doc.converged for doc in docs) else Exit.NOT_CONVERGED
