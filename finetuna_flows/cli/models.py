"""``finetuna-flows models``: the surrogates that were saved by name."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from finetuna_flows.cli import options
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.tables import number, printer
from finetuna_flows.results.saved_models import SavedModel, saved_models
from finetuna_flows.settings import Settings


def models(as_json: options.Json = False) -> None:
    """List the surrogates that were saved by name, for use as --surrogate saved:NAME."""
    console = Console(stderr=True)
    with told_apart(console):
        place = Settings().models_path.expanduser()
        found = list(saved_models(place))
        if not found:
            _say(
                console,
                f"no saved surrogate in {place} (the setting models_path); make one of past "
                "labels with: finetuna-flows finetune runs/ --save-as NAME",
            )
        elif as_json:
            for model in found:
                sys.stdout.write(model.model_dump_json() + "\n")
        else:
            printer().print(_table(found))
            for model in found:
                if model.complaint:
                    _say(console, f"{model.name}: {model.complaint}")


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _table(found: list[SavedModel]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("name", "base", "saved", "systems", "labels", "held-out force error, eV/Å"):
        table.add_column(name, justify="right" if name in ("systems", "labels") else "left")
    for each in found:
        errors = (number(error, ".3f") for error in (each.error_before, each.error_after))
        table.add_row(
            each.name,
            "unusable" if each.complaint else each.base,
            f"{each.completed_at:%Y-%m-%d %H:%M}" if each.completed_at else "-",
            "-" if each.systems is None else str(len(each.systems)),
            number(each.n_frames, "d"),
            " → ".join(errors),
        )
    return table
