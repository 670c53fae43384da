"""``finetuna-flows figures``: what a store holds, drawn for papers."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from jobflow import JobStore
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import Exit, told_apart
from finetuna_flows.cli.study import only_tag
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.names import FORMATS, FigureName
from finetuna_flows.results.study import comparisons
from finetuna_flows.results.tables.counting import Count

if TYPE_CHECKING:
    from finetuna_flows.results.album import Page


def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")] = Path(
        "figures"
    ),
    formats: Annotated[
        str, typer.Option("--format", help=f"Formats, with commas: {', '.join(FORMATS)}.")
    ] = "pdf",
    reference: options.Reference = None,
    count: Annotated[
        Count, typer.Option(help="Parent calls that count: all, or all but the first.")
    ] = Count.FRAMES,
    relaxation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="UUID",
            help="Relaxation to draw in detail, or the beginning of its uuid; repeatable. "
            "[default: those with a surrogate, on the system with most methods]",
        ),
    ] = None,
    only: Annotated[
        list[FigureName] | None, typer.Option(help="Only figures of this kind; repeatable.")
    ] = None,
    tag: options.Tag = None,
    store: options.Store = None,
) -> None:
    """Draw every figure that the relaxations in the store allow; say which are left out, and why.

    The exit code is 0 if any was drawn and 3 if none was.
    """
    console = Console(stderr=True)
    with told_apart(console):
        suffixes = _suffixes(formats)
        _check_matplotlib()
        job_store = open_store(store)
        study = comparisons(job_store, reference, tag=only_tag(tag))
        wanted = set(only or FigureName)
        pages = _pages(job_store, study, relaxation or [], count, wanted)
        drawn = [_written(page, directory, suffixes, console) for page in pages]
        if not any(drawn):
            raise typer.Exit(Exit.FAILED)


def _suffixes(formats: str) -> list[str]:
    said = (each.strip().removeprefix(".").lower() for each in formats.split(","))
    suffixes = list(dict.fromkeys(said))
    unknown = [each for each in suffixes if each not in FORMATS]
    if unknown:
        raise ValueError(f"--format is {formats} but must be of {', '.join(FORMATS)}")
    return suffixes


def _check_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as exc:
        raise ValueError(
            "figures need matplotlib, which is not installed; pip install 'finetuna-flows[report]'"
        ) from exc


def _pages(
    store: JobStore,
    study: Sequence[ComparisonDoc],
    uuids: Sequence[str],
    count: Count,
    wanted: Collection[FigureName],
) -> list[Page]:
    """Those that are wanted; what was named and is not there is found out before any is drawn."""
    from finetuna_flows.results.album import OF_RELAXATIONS, relaxation_pages, study_pages
    from finetuna_flows.results.figures.style import looks
    from finetuna_flows.results.tables.study import study_of

    palette = looks(study_of(study).methods)
    pages = study_pages(study, count, palette)
    if not OF_RELAXATIONS.isdisjoint(wanted):
        pages += relaxation_pages(store, study, uuids, palette)
    return [page for page in pages if page.name in wanted]


def _written(page: Page, directory: Path, suffixes: Sequence[str], console: Console) -> bool:
    """Draw a figure and print its files, or why there is none."""
    from finetuna_flows.results.figures.style import NothingToDrawError, save

    try:
        figure = page.draw()
    except NothingToDrawError as reason:
        said = f"left out {page.stem}: {reason}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        return False
    for suffix in suffixes:
        path = save(figure, directory / f"{page.stem}.{suffix}")
        sys.stdout.write(f"{path}\n")
    return True
