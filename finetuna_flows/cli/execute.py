"""Run flows with progress on the console; collect their documents and how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, JobStore
from rich.console import Console
from rich.table import Table

from finetuna_flows.cli.exits import Exit
from finetuna_flows.cli.progress import shown
from finetuna_flows.errors import FinetunaError
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
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


def relaxation_table(docs: list[RelaxationDoc]) -> Table:
    """A row a relaxation."""
    table = Table(box=None, header_style="bold")
    for name in ("formula", "method", "converged", "calls", "SCF", "energy/eV", "fmax", "time/s"):
        table.add_column(name, justify="left" if name in ("formula", "method") else "right")
    table.add_column("adsorbate")
    for doc in docs:
        table.add_row(
            doc.formula_pretty or "",
            doc.method,
            "yes" if doc.converged else f"no: {doc.stop_reason}",
            str(doc.parent_calls),
            number(doc.scf_cycles, "d"),
            number(doc.energy, ".4f"),
            number(doc.fmax, ".4f"),
            f"{doc.timings.total:.1f}",
            doc.integrity,
        )
    return table


def comparison_table(doc: ComparisonDoc) -> Table:
    """A row a method; calls, SCF cycles and energies are compared with the reference's."""
    table = Table(
        box=None,
        header_style="bold",
        title=f"{doc.formula_pretty}, against {doc.reference_method}",
        title_justify="left",
    )
    names = ("method", "converged", "calls", "of ref.", "SCF", "time/s", "ΔE/eV", "fmax", "minimum")
    for name in names:
        table.add_column(name, justify="left" if name in ("method", "minimum") else "right")
    for row in doc.rows:
        table.add_row(
            row.method,
            "yes" if row.converged else f"no: {row.note}",
            number(row.parent_calls, "d"),
            number(row.parent_calls_ratio, ".0%"),
            number(row.scf_cycles, "d"),
            number(row.timings.total if row.timings else None, ".1f"),
            number(row.energy_difference, "+.4f"),
            number(row.fmax, ".4f"),
            _minimum(row),
        )
    return table


def _minimum(row: ComparisonRow) -> str:
    if row.same_minimum is None or row.integrity is None:
        return "-"
    place = "same" if row.same_minimum else "another"
    return f"{place} ({row.rmsd:.3f} Å apart), {row.integrity}"


def exit_code(results: list[Any]) -> Exit:
    """The worst of how the relaxations ended."""
    if any(isinstance(each, FinetunaError) for each in results):
        return Exit.FAILED
    docs = [each for each in results if isinstance(each, RelaxationDoc)]
    return Exit.DONE if all(doc.converged for doc in docs) else Exit.NOT_CONVERGED


def number(value: float | None, form: str) -> str:
    """A number in a format, or a dash where there is none."""
    return "-" if value is None else format(value, form)
