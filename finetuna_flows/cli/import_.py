"""``finetuna-flows import``: relaxations that were run elsewhere, into the results store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from jobflow import JobStore
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import open_store
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.import_paths import may_pass_over, split_paths, why_passed_over
from finetuna_flows.cli.import_results import Results, conclude, say
from finetuna_flows.cli.inputs import preparation
from finetuna_flows.cli.progress import shown
from finetuna_flows.cli.relax import print_json
from finetuna_flows.cli.tables import number
from finetuna_flows.errors import FinetunaError
from finetuna_flows.flows.imported import imported_documents
from finetuna_flows.flows.keeping import Kept, keep_once
from finetuna_flows.relaxation.recorded.formats import NoRelaxationError
from finetuna_flows.relaxation.recorded.groups import parse_keys
from finetuna_flows.relaxation.recorded.labels import UnlabelledError, parse_label_keys
from finetuna_flows.relaxation.recorded.recording import Reading, check_words
from finetuna_flows.relaxation.recorded.starts import StartingStructures
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.structures.prepare import Preparation


@dataclass(frozen=True)
class Orders:
    """What is to be done with every path."""

    reading: Reading
    name: str | None
    tags: tuple[str, ...]
    prepare: Preparation
    starts: StartingStructures | None
    store: JobStore
    again: bool
    paths: tuple[Path, ...]
    """All that were named."""


def import_relaxations(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            help="What VASP left (directories with custodian's archives, vasprun.xml, OUTCAR), "
            "trajectories (.traj, .extxyz, .extxyz.gz, what else ASE reads), ASE databases (.db, "
            ".json), or the directory that FINETUNA's authors released.",
        ),
    ],
    fmax: Annotated[
        float | None,
        typer.Option(
            help="eV/Å; a relaxation ends where it is reached. [default: as far as it went, "
            "converged by VASP's own threshold, or by 0.03]"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What comparisons call the method. [default: the method itself]"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="How they were relaxed, where the file does not say. [default: imported]"
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(help="What to call the structure. [default: as the file or directory]"),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="Level of theory in words; energies are compared at one level only. [default: as "
            "VASP's files or the authors say, else one level a file]"
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM,METHOD",
            help="Keys of frames or rows that tell the relaxations in one file apart; either may "
            "be empty. [default: system,method or sid,method where all have them]",
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            metavar="energy=KEY,forces=KEY",
            help="What the file calls energy (eV) and forces (eV/Å), where that is not so; "
            "free_energy too. [default: as ASE reads them]",
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            help="File of starting structures, whose tags and constraints are taken; found by "
            "geometry, or by the name in system or sid."
        ),
    ] = None,
    adsorbate: options.Adsorbate = None,
    tag: options.Tag = None,
    again: Annotated[
        bool, typer.Option("--again", help="Replace what was imported from there before.")
    ] = False,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Import relaxations that were run elsewhere; indices are in the order of their own files.

    What is in the store already is left alone. What is damaged is reported, and the rest is kept.
    Of what a pattern such as dir/* stands for, calculations that were not run yet and files of
    other kinds are named and passed over.
    Exit codes: 0 every relaxation is in the store, converged or not, also where damaged parts of it
    are left out; 2 something was refused; 3 a relaxation or a file could not be read at all.
    """
    console = Console(stderr=True)
    with told_apart(console):
        held, passed_over = split_paths(paths)
        check_words("name", name)
        orders = Orders(
            reading=Reading(
                fmax,
                method,
                system,
                level,
                by=None if by is None else parse_keys(by),
                keys=None if keys is None else parse_label_keys(keys),
            ),
            name=name,
            tags=tuple(tag or ()),
            prepare=preparation(adsorbate, 0, 0.0, 0),
            starts=StartingStructures.read(initial) if initial else None,
            store=open_store(store),
            again=again,
            paths=tuple(paths),
        )
        results = Results()
        for words in passed_over:
            _pass_over(words, results, console)
        with shown(console):
            for path in held:
                for called, result in _imported(path, orders, results, console):
                    if as_json:
                        print_json(called, result)
        conclude(results, console, table=not as_json)
        raise typer.Exit(results.exit_code)


def _imported(
    path: Path, orders: Orders, results: Results, console: Console
) -> Iterator[tuple[str, RelaxationDoc | Exception]]:
    """Name and document of each relaxation, or why there is none."""
    found = imported_documents(
        path,
        orders.reading,
        name=orders.name,
        tags=orders.tags,
        prepare=orders.prepare.apply,
        starts=orders.starts,
    )
    try:
        for recording, result in found:
            if isinstance(result, UnlabelledError) and may_pass_over(path, orders.paths):
                _pass_over(f"{path} holds structures without energies", results, console)
                continue
            called = f"{recording.system} {orders.name or recording.method}"
            results.damaged += len(recording.damaged)
            for words in recording.damaged:
                say(console, f"damaged, left out: {words}", "yellow")
            if not isinstance(result, Exception):
                try:
                    kept = keep_once(result, recording, path, orders.store, again=orders.again)
                except ValueError as error:
                    result = error
            if isinstance(result, Exception):
                yield called, _failed(path, result, results, console)
            else:
                _tell(called, kept, results, console)
                yield called, kept.document
    except (FinetunaError, ValueError, OSError) as error:
        if isinstance(error, NoRelaxationError) and may_pass_over(path, orders.paths):
            _pass_over(why_passed_over(path, error), results, console)
            return
        yield str(path), _failed(path, error, results, console)


def _pass_over(words: str, results: Results, console: Console) -> None:
    results.passed_over += 1
    say(console, f"passed over: {words}", "yellow")


def _failed(path: Path, error: Exception, results: Results, console: Console) -> Exception:
    results.errors.append(error)
    say(console, f"error: {path}: {error}", "red")
    return error


def _tell(called: str, kept: Kept, results: Results, console: Console) -> None:
    doc = kept.document
    results.documents.append(doc)
    results.words[kept.word] += 1
    say(
        console,
        f"{called}: {doc.parent_calls} parent calls, {number(doc.energy, '.4f')} eV, "
        f"fmax {number(doc.fmax, '.4f')} eV/Å; {kept.word}",
    )
