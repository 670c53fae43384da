"""``finetuna-flows finetune``: labels of past relaxations in, a surrogate with a name out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store, run_flow
from finetuna_flows.cli.exits import Exit, told_apart
from finetuna_flows.cli.inputs import check_there
from finetuna_flows.cli.parse import json_object, parse_surrogate
from finetuna_flows.cli.relax import print_spec
from finetuna_flows.cli.tables import printer
from finetuna_flows.cli.words import check_said
from finetuna_flows.errors import CheckpointError
from finetuna_flows.finetuning.recipe import AdaptRecipe
from finetuna_flows.flows.finetune import FineTuneMaker
from finetuna_flows.results.adaptation import FineTuneDoc

DEFAULT = "chgnet"
"""The surrogate that is adapted where none is named."""


def finetune(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="Folders of relaxations (every labels.extxyz below is read) or files of frames.",
        ),
    ],
    save_as: Annotated[str, typer.Option(help="Name to save under, or a path with a / in it.")],
    surrogate: Annotated[
        str | None, typer.Option(help=f"{options.SURROGATES} [default: {DEFAULT}]")
    ] = None,
    surrogate_args: options.SurrogateArgs = None,
    recipe_args: Annotated[
        str | None, typer.Option(help='Of AdaptRecipe, as JSON: {"epochs": 6}.')
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the same name.")] = False,
    store: options.Store = None,
    directory: options.Directory = Path("runs"),
    fresh: options.Fresh = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Adapt a surrogate to labels of at least two systems; use it as --surrogate saved:NAME.

    Exit codes: 0 saved, 2 the input was refused, 3 the training failed, 130 interrupted.
    """
    console = Console(stderr=True)
    with told_apart(console):
        check_said("surrogate", surrogate, surrogate_args)
        maker = FineTuneMaker(
            save_as=save_as,
            surrogate=parse_surrogate(surrogate or DEFAULT, surrogate_args),
            recipe=AdaptRecipe(**json_object("--recipe-args", recipe_args)),
            overwrite=overwrite,
        )
        if dry_run:
            print_spec(maker)
            return
        check_there(maker.surrogate)
        folder = directory / f"finetune_{Path(save_as).name}"
        job = maker.make([str(Path(source).resolve()) for source in sources])
        ((_, result),) = run_flow(job, open_store(store), folder, console, fresh=fresh)
        if isinstance(result, Exception):
            refused = isinstance(result, ValueError | TypeError | CheckpointError)
            raise typer.Exit(Exit.REFUSED if refused else Exit.FAILED)
        if as_json:
            json.dump(result.model_dump(mode="json"), sys.stdout)
            sys.stdout.write("\n")
        else:
            printer().print(_table(result))


def _table(doc: FineTuneDoc) -> Table:
    table = Table(
        title=f"saved:{doc.surrogate}, epoch {doc.best_epoch} of {doc.epochs}; held-out force "
        f"error {doc.error_before:.3f} → {doc.error_after:.3f} eV/Å",
        title_justify="left",
    )
    for heading in ("system", "labels", "used to", "error before, eV/Å", "after"):
        table.add_column(heading)
    for each in doc.systems:
        row: list[Any] = [each.name, each.n_frames, "validate" if each.held_out else "train"]
        table.add_row(*map(str, row), f"{each.before:.3f}", f"{each.after:.3f}")
    return table
