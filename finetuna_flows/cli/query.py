"""``finetuna-flows list`` and ``show``: what the results store holds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import number, open_store, relaxation_table
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.results.document_parts import BlobReference
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.find import RelaxationSummary, relaxation_doc, relaxation_summaries


def list_relaxations(
    formula: Annotated[str | None, typer.Option(help="Of the whole structure.")] = None,
    chemsys: Annotated[str | None, typer.Option(help="Elements, as in Cu-O.")] = None,
    method: Annotated[str | None, typer.Option(help="As in the table.")] = None,
    converged: Annotated[bool | None, typer.Option("--converged/--unconverged")] = None,
    tag: Annotated[str | None, typer.Option(help="One of the tags.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Completed at this time or later.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first; 0 for all.")] = 20,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List relaxations, newest first."""
    with told_apart(Console(stderr=True)):
        found = relaxation_summaries(
            open_store(store),
            formula=formula,
            chemsys=chemsys,
            method=method,
            converged=converged,
            tag=tag,
            since=since.astimezone(UTC) if since else None,
            limit=limit,
        )
        if as_json:
            for summary in found:
                sys.stdout.write(summary.model_dump_json() + "\n")
        else:
            Console().print(_summary_table(list(found)))


def show(
    uuid: Annotated[str, typer.Argument(help="Of the relaxation or its job, or its beginning.")],
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show one relaxation and every parent call that it rests on."""
    with told_apart(Console(stderr=True)):
        doc = relaxation_doc(open_store(store), uuid, load=True)
        if as_json:
            sys.stdout.write(doc.model_dump_json() + "\n")
            return
        console = Console()
        console.print(relaxation_table([doc]))
        for name in ("uuid", "name", "level_of_theory", "stop_sentence", "integrity_sentence"):
            console.print(f"{name.replace('_', ' ')}: {getattr(doc, name)}", highlight=False)
        console.print(f"directory: {doc.dir_name}", highlight=False)
        console.print(_ledger_table(doc))


def _summary_table(found: list[RelaxationSummary]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in (
        "uuid",
        "formula",
        "method",
        "converged",
        "calls",
        "energy/eV",
        "fmax",
        "completed",
    ):
        table.add_column(name)
    for each in found:
        table.add_row(
            each.uuid[:8],
            each.formula_pretty,
            each.method,
            "yes" if each.converged else f"no: {each.stop_reason}",
            str(each.parent_calls),
            number(each.energy, ".4f"),
            number(each.fmax, ".4f"),
            f"{each.completed_at:%Y-%m-%d %H:%M}",
        )
    return table


def _ledger_table(doc: RelaxationDoc) -> Table:
    table = Table(box=None, header_style="bold", title="parent calls", title_justify="left")
    for name in (
        "call",
        "step",
        "energy/eV",
        "fmax",
        "predicted fmax",
        "SCF",
        "time/s",
        "asked for",
    ):
        table.add_column(name, justify="left" if name == "asked for" else "right")
    entries = () if doc.ledger is None or isinstance(doc.ledger, BlobReference) else doc.ledger
    for entry in entries:
        table.add_row(
            str(entry.index + 1),
            str(entry.step),
            number(entry.energy, ".4f"),
            number(entry.fmax, ".4f"),
            number(entry.predicted_fmax, ".4f"),
            number(entry.scf_cycles, "d"),
            number(entry.wall_time, ".1f"),
            ", ".join(entry.reasons),
        )
    return table
