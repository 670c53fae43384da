"""``finetuna-flows import``: relaxations that were computed before, into the results store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from jobflow import JobStore
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import exit_code, open_store
from finetuna_flows.cli.exits import Exit, told_apart
from finetuna_flows.cli.inputs import preparation
from finetuna_flows.cli.progress import shown
from finetuna_flows.cli.relax import print_json
from finetuna_flows.cli.tables import printer, relaxation_table
from finetuna_flows.errors import FinetunaError
from finetuna_flows.flows.imported import ImportedRelaxMaker, keep
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.structures.prepare import Preparation

OUTPUTS = "outputs"
"""What atomate2 calls the directory of a calculation's files."""


def import_relaxations(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            help="What VASP left: directories (with custodian's archives), vasprun.xml, OUTCAR.",
        ),
    ],
    fmax: Annotated[
        float | None,
        typer.Option(
            help="eV/Å; the relaxation ends where it is reached. [default: as far as it went]"
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call them. [default: that of the directory]")
    ] = None,
    adsorbate: options.Adsorbate = None,
    tag: options.Tag = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Import finished relaxations as baselines; indices are in the order of their own files.

    What cannot be read is reported, and the rest is kept. Exit codes are those of `relax`.
    """
    console = Console(stderr=True)
    with told_apart(console):
        prepare = preparation(adsorbate, 0, 0.0, 0)
        job_store = open_store(store)
        results: list[Any] = []
        for path in paths:
            called = name or _name(path)
            maker = ImportedRelaxMaker(called, str(path), fmax, tuple(tag or ()))
            result = _import(maker, prepare, job_store, console)
            results.append(result)
            if isinstance(result, Exception):
                words = f"error: {path}: {result}"
                console.print(words, style="red", markup=False, highlight=False, soft_wrap=True)
            if as_json:
                print_json(called, result)
        docs = [each for each in results if isinstance(each, RelaxationDoc)]
        if docs and not as_json:
            printer().print(relaxation_table(docs))
        raise typer.Exit(_exit_code(results))


def _import(
    maker: ImportedRelaxMaker, prepare: Preparation, store: JobStore, console: Console
) -> RelaxationDoc | Exception:
    """The document of one, or why there is none."""
    try:
        with shown(console):
            document = maker.document(prepare.apply)
    except (FinetunaError, ValueError, OSError) as error:
        return error
    keep(document).run(store=store)
    return document


def _name(path: Path) -> str:
    """A directory's name; of a file, or of atomate2's ``outputs``, that of the one above."""
    whole = path.resolve()
    says_nothing = whole.is_file() or whole.name == OUTPUTS
    return whole.parent.name if says_nothing else whole.name


def _exit_code(results: list[Any]) -> Exit:
    """As of `relax`; a wrong path or another kind of calculation is a refusal too."""
    errors = [each for each in results if isinstance(each, Exception)]
    if errors and all(isinstance(each, ValueError) for each in errors):
        return Exit.REFUSED
    return exit_code(results)
