"""``finetuna-flows relax``: structures in, verified relaxations out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer
from jobflow import Maker
from monty.json import jsanitize
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import exit_code, open_store, run_flow
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.inputs import (
    check_all_known,
    preparation,
    read_inputs,
    settings_of_parents,
    sources,
)
from finetuna_flows.cli.tables import printer, relaxation_table
from finetuna_flows.cli.words import Words
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import DATA_KEYS, ComparisonDoc, RelaxationDoc


def relax(
    structures: options.Structures = None,
    method: options.Method = "online",
    surrogate: options.Surrogate = None,
    surrogate_args: options.SurrogateArgs = None,
    tuner: options.Tuner = None,
    tuner_args: options.TunerArgs = None,
    parent: options.Parent = None,
    parent_args: options.ParentArgs = None,
    vasp_inputs: options.VaspInputs = None,
    parent_process: options.ParentProcess = None,
    launcher: options.Launcher = "",
    criterion: options.Criterion = None,
    optimizer: options.Optimizer = None,
    fmax: options.Fmax = None,
    max_steps: options.MaxSteps = 2000,
    max_calls: options.MaxCalls = None,
    max_time: options.MaxTime = None,
    adsorbate: options.Adsorbate = None,
    fix_layers: options.FixLayers = 0,
    rattle: options.Rattle = 0.0,
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
            vasp_inputs=vasp_inputs,
            placement=Placement(process=parent_process, launcher=launcher),
        )
        (maker,) = words.makers([method])
        inputs = read_inputs(
            sources(structures, vasp_inputs), preparation(adsorbate, fix_layers, rattle, seed)
        )
        for each in inputs:
            console.print(str(each), markup=False, highlight=False, soft_wrap=True)
        console.print(words.threshold, markup=False, highlight=False)
        if dry_run:
            for said in settings_of_parents(inputs, [maker]):
                console.print(said, markup=False, highlight=False, soft_wrap=True)
            print_spec(maker)
            return
        check_all_known(inputs, [maker])
        job_store = open_store(store)
        results: list[Any] = []
        for each in inputs:
            flow = maker.make(each.atoms)
            for name, result in run_flow(
                flow, job_store, directory / each.name, console, fresh=fresh
            ):
                results.append(result)
                if as_json:
                    print_json(f"{each.name}/{name}", result)
        docs = [each for each in results if isinstance(each, RelaxationDoc)]
        if docs and not as_json:
            printer().print(relaxation_table(docs))
        raise typer.Exit(exit_code(results))


def print_spec(maker: Maker) -> None:
    """Print a Maker as the JSON from which it can be built again."""
    json.dump(jsanitize(maker.as_dict(), strict=True), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_json(name: str, result: RelaxationDoc | ComparisonDoc | Exception) -> None:
    """Print one line: a document without what lies in the ``data`` store, or what ended the job."""
    if isinstance(result, Exception):
        line = json.dumps({"name": name, "error": type(result).__name__, "message": str(result)})
    else:
        line = result.model_dump_json(exclude=set(DATA_KEYS))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
