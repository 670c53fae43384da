"""``finetuna-flows report``: what the results store holds, as one file to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.results.report.measured import measured
from finetuna_flows.results.report.write import stored_relaxations, write_report
from finetuna_flows.results.tables.counting import Count

SUFFIXES = (".html", ".htm")


def report(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="HTML; one of that name is replaced.")
    ] = Path("report.html"),
    reference: Annotated[
        str | None,
        typer.Option(
            help="Method that the others are measured against. [default: VASP CG, else BFGS]"
        ),
    ] = None,
    count: Annotated[
        Count, typer.Option(help="Parent calls that count in ratios: all, or all but the first.")
    ] = Count.FRAMES,
    tag: Annotated[str | None, typer.Option(help="Only relaxations with this tag.")] = None,
    title: Annotated[
        str, typer.Option(help="At the head of the report.")
    ] = "Comparison of relaxations",
    details: Annotated[
        bool,
        typer.Option(
            "--details/--no-details",
            help="Curve, parent calls and atoms of each relaxation; they make up most of the file.",
        ),
    ] = True,
    store: options.Store = None,
) -> None:
    """Write one HTML file with tables, plots and a page for each relaxation.

    It opens in any browser of 2023 or newer and loads nothing from the network. It names the
    folders, hosts and settings of the runs: look at a page before you publish it.
    """
    console = Console(stderr=True)
    with told_apart(console):
        if file.suffix.lower() not in SUFFIXES:
            raise ValueError(f"FILE is {file} but must end in {' or '.join(SUFFIXES)}")
        job_store = open_store(store)
        found = measured(job_store, reference, tag=tag, count=count)
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.completed} relaxations"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress:
            task = progress.add_task("relaxations", total=None)
            written = write_report(
                stored_relaxations(job_store, tag=tag, load=details),
                found,
                file,
                title=title,
                detailed=details,
                seen=lambda number: progress.update(task, completed=number),
            )
    against = f"against {written.reference}" if written.reference else "without a reference"
    typer.echo(
        f"{written.path}: {written.relaxations} relaxations of {written.systems} systems, "
        f"{against}, {written.size / 1e6:.1f} MB"
    )
    typer.echo(f"open it in a browser: {written.path.resolve().as_uri()}")
