"""``finetuna-flows relax``: structures in, verified relaxations out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from jobflow import Maker
from monty.json import jsanitize
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import (
    exit_code,
    open_store,
    run_flow,
    set_ledgers_aside,
)
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.inputs import Input, check_all_known, read_inputs
from finetuna_flows.cli.tables import printer, relaxation_table
from finetuna_flows.cli.words import Words
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc


def relax(
    structures: options.Structures,
    method: options.Method = "online",
    surrogate: options.Surrogate = "chgnet",
    surrogate_args: options.SurrogateArgs = None,
    tuner: options.Tuner = "gp",
    tuner_args: options.TunerArgs = None,
    parent: options.Parent = "embedded",
    parent_args: options.ParentArgs = None,
    criterion: options.Criterion = None,
    optimizer: options.Optimizer = "BFGS",
    fmax: options.Fmax = 0.03,
    max_steps: options.MaxSteps = 2000,
    max_calls: options.MaxCalls = None,
    max_time: options.MaxTime = None,
    fix_layers: options.FixLayers = None,
    rattle: options.Rattle = None,
    seed: options.Seed = 0,
    tag: options.Tag = None,
    store: options.Store = None,
    directory: options.Directory = Path("runs"),
    fresh: options.Fresh = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Relax structures, each in its own folder; the same command again resumes what is unfinished.

    Exit codes: 0 all converged, 1 a limit was reached, 2 the input was refused, 3 a calculation
    failed, 130 interrupted.
    """
    console = Console(stderr=True)
    with told_apart(console):
        words = Words(
            surrogate=surrogate,
            surrogate_args=surrogate_args,
            tuner=tuner,
            tuner_args=tuner_args,
            parent=parent,
            parent_args=parent_args,
            criterion=criterion,
            optimizer=optimizer,
            fmax=fmax,
            limits=Limits(max_steps, max_calls, max_time),
            tags=tuple(tag or ()),
        )
        (maker,) = words.makers([method])
        inputs = read_inputs(structures, fix_layers=fix_layers, stdev=rattle, seed=seed)
        if dry_run:
            print_spec(maker)
            return
        check_all_known(inputs, [maker])
        results = _relax_all(maker, inputs, store, directory, console, fresh=fresh)
        docs = [each for each in results if isinstance(each, RelaxationDoc)]
        if as_json:
            print_json(docs)
        elif docs:
            printer().print(relaxation_table(docs))
        raise typer.Exit(exit_code(results))


def _relax_all(
    maker: RelaxMaker,
    inputs: Sequence[Input],
    store: Path | None,
    directory: Path,
    console: Console,
    *,
    fresh: bool,
) -> list[Any]:
    results: list[Any] = []
    job_store = open_store(store)
    for each in inputs:
        root = directory / each.name
        if fresh:
            set_ledgers_aside(root)
        job = maker.make(each.atoms)
        results += [result for _, result in run_flow(job, job_store, root, console)]
    return results


def print_spec(maker: Maker) -> None:
    """Print a Maker as the JSON from which it can be built again."""
    json.dump(jsanitize(maker.as_dict(), strict=True), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_json(docs: Sequence[RelaxationDoc]) -> None:
    """Print a document a line, without what lies in the ``data`` store."""
    for doc in docs:
        sys.stdout.write(doc.model_dump_json(exclude=set(DATA_KEYS)) + "\n")
