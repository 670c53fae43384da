"""``finetuna-flows export``: relaxations as a table, or as structures to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.filters import Limit, Skip, Sort, filtered
from finetuna_flows.results.export import (
    TABLES,
    FileKind,
    export_structures,
    export_table,
    file_kind,
)
from finetuna_flows.results.filters import NEWEST_FIRST, Filters, Selection


@filtered
def export(
    filters: Filters,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    kind: Annotated[
        FileKind | None,
        typer.Option("--format", help="A table or structures. [default: by the file's suffix]"),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Every labelled geometry; structures only."),
    ] = False,
    sort: Sort = NEWEST_FIRST,
    skip: Skip = 0,
    limit: Limit = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    store: options.Store = None,
) -> None:
    """Write relaxations to a file: a row each, or their final structures with energy and forces.

    Energies are in eV, forces in eV/Å and raw; constraints and tags come along.
    """
    console = Console(stderr=True)
    with told_apart(console):
        chosen = kind or file_kind(output)
        if labels and chosen in TABLES:
            raise ValueError(f"--labels is of structures but the file is {chosen}; use extxyz")
        selection: Selection = {**filters, "sort": sort, "skip": skip, "limit": limit}
        opened = open_store(store)
        if chosen in TABLES:
            done = export_table(opened, output, chosen, force=force, **selection)
            words = f"{done.rows} relaxations"
        else:
            done = export_structures(
                opened, output, chosen, labels=labels, force=force, **selection
            )
            words = f"{done.rows} structures of {done.relaxations} relaxations"
            if done.unlabelled:
                words += f" ({done.unlabelled} without an answer of the parent are left out)"
        console.print(f"{output}: {words}", markup=False, highlight=False, soft_wrap=True)
