"""``finetuna-flows list`` and ``show``: what the results store holds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.tables import ledger_table, printer, relaxation_table, summary_table
from finetuna_flows.results.find import relaxation_doc, relaxation_summaries


def list_relaxations(
    formula: Annotated[str | None, typer.Option(help="Of the whole structure.")] = None,
    chemsys: Annotated[str | None, typer.Option(help="Elements, as in Cu-O.")] = None,
    name: Annotated[
        str | None, typer.Option(help="As in the table: what --method said, such as fast.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="As in the table: online for every preset.")
    ] = None,
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
            name=name,
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
            printer().print(summary_table(list(found)))


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
        console = printer()
        console.print(relaxation_table([doc]))
        for name in ("uuid", "name", "level_of_theory", "stop_sentence", "integrity_sentence"):
            console.print(f"{name.replace('_', ' ')}: {getattr(doc, name)}", highlight=False)
        console.print(f"directory: {doc.dir_name}", highlight=False)
        console.print(ledger_table(doc))
