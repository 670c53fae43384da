"""``finetuna-flows compare``: several methods side by side, on the same structures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
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
from finetuna_flows.cli.relax import print_json, print_spec
from finetuna_flows.cli.tables import comparison_table, printer, side_by_side
from finetuna_flows.cli.words import Words
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc


def compare(
    structures: options.Structures = None,
    methods: options.Methods = "online,BFGS",
    reference: options.Reference = None,
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
    """Relax each structure by several methods on the same parent and compare what they cost.

    Exit codes are those of `relax`.
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
        makers = words.makers(methods.split(","))
        maker = CompareMaker(makers=makers, reference=reference)
        inputs = read_inputs(
            sources(structures, vasp_inputs), preparation(adsorbate, fix_layers, rattle, seed)
        )
        for each in inputs:
            console.print(str(each), markup=False, highlight=False, soft_wrap=True)
        console.print(words.threshold, markup=False, highlight=False)
        if dry_run:
            for said in settings_of_parents(inputs, makers):
                console.print(said, markup=False, highlight=False, soft_wrap=True)
            print_spec(maker)
            return
        check_all_known(inputs, makers)
        results: list[Any] = []
        job_store = open_store(store)
        for each in inputs:
            root = directory / each.name
            ended: list[Any] = []
            flow = maker.make(each.atoms)
            for name, result in run_flow(flow, job_store, root, console, fresh=fresh):
                ended.append(result)
                if as_json:
                    print_json(f"{each.name}/{name}", result)
            if not as_json:
                _show(ended)
            results += ended
        raise typer.Exit(exit_code(results))


def _show(ended: list[Any]) -> None:
    (comparison,) = [each for each in ended if isinstance(each, ComparisonDoc)]
    console = printer()
    console.print(side_by_side([each for each in ended if isinstance(each, RelaxationDoc)]))
    console.print()
    console.print(comparison_table(comparison))
