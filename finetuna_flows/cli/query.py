"""``finetuna-flows list`` and ``show``: what the results store holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.filters import Limit, Skip, Sort, filtered
from finetuna_flows.cli.tables import facts, ledger_table, printer, summary_table
from finetuna_flows.results.completeness import sentence
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.filters import NEWEST_FIRST, Filters
from finetuna_flows.results.find import (
    count_relaxations,
    parts_missing,
    relaxation_doc,
    relaxation_summaries,
)


@filtered
def list_relaxations(
    filters: Filters,
    sort: Sort = NEWEST_FIRST,
    skip: Skip = 0,
    limit: Limit = 20,
    count: Annotated[bool, typer.Option("--count", help="Print how many there are.")] = False,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List relaxations, newest first; times are local."""
    console = Console(stderr=True)
    with told_apart(console):
        opened = open_store(store)
        if count:
            sys.stdout.write(f"{count_relaxations(opened, **filters)}\n")
            return
        found = relaxation_summaries(opened, sort=sort, skip=skip, limit=limit, **filters)
        if as_json:
            for summary in found:
                sys.stdout.write(summary.model_dump_json() + "\n")
            return
        lines = list(found)
        if lines:
            printer().print(summary_table(lines))
        else:
            console.print(f"no such relaxation is in {opened.name}", soft_wrap=True)


def show(
    uuids: Annotated[
        list[str],
        typer.Argument(metavar="UUID…", help="Of relaxations or their jobs, or their beginnings."),
    ],
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show relaxations, with every parent call that they rest on."""
    with told_apart(Console(stderr=True)):
        opened = open_store(store)
        for uuid in uuids:
            doc = relaxation_doc(opened, uuid)
            missing = parts_missing(opened, doc)
            if not missing or as_json:
                doc = relaxation_doc(opened, doc.uuid, load=True)
            if as_json:
                sys.stdout.write(doc.model_dump_json() + "\n")
            else:
                _show(doc, missing, printer())


def _show(doc: RelaxationDoc, missing: Sequence[str], console: Console) -> None:
    if missing:
        console.print(f"incomplete: {sentence(missing)}", soft_wrap=True, style="yellow")
    for title, words in facts(doc):
        if words:
            console.print(f"{title}: {words}", markup=False, highlight=False, soft_wrap=True)
    if not missing:
        console.print(ledger_table(doc))
