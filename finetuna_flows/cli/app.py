"""The commands of ``finetuna-flows``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from finetuna_flows.cli import (
    compare,
    doctor,
    export,
    figures,
    finetune,
    import_,
    models,
    query,
    relax,
    report,
    serve,
)

app = typer.Typer(
    name="finetuna-flows",
    help="Relax structures with a surrogate that learns on the fly and a parent that verifies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("relax")(relax.relax)
app.command("compare")(compare.compare)
app.command("figures")(figures.figures)
app.command("import")(import_.import_relaxations)
app.command("serve")(serve.serve)
app.command("finetune")(finetune.finetune)
app.command("models")(models.models)
app.command("list")(query.list_relaxations)
app.command("show")(query.show)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("finetuna-flows"))
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Relax structures with a surrogate that learns on the fly and a parent that verifies."""
