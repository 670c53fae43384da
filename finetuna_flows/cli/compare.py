"""``finetuna-flows compare``: several methods side by side, on the same structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from jobflow import JobStore
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.execute import exit_code, open_store, run_flow
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.inputs import (
    Input,
    check_all_known,
    preparation,
    read_inputs,
    settings_of_parents,
    sources,
)
from finetuna_flows.cli.relax import print_json, print_spec
from finetuna_flows.cli.study import WantedTables, check_together, only_tag
from finetuna_flows.cli.tables import comparison_table, printer, side_by_side
from finetuna_flows.cli.words import Words
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.study import comparisons
from finetuna_flows.results.tables.counting import Count

DEFAULT_METHODS = "online,BFGS"


def compare(
    context: typer.Context,
    structures: options.Structures = None,
    methods: options.Methods = None,
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
    table: options.Table = False,
    count: options.CountingRule = Count.FRAMES,
    table_format: options.TableFormat = None,
    pairs: options.Pairs = False,
    against: options.Against = None,
    systems: options.Systems = False,
    output: options.Output = None,
) -> None:
    """Relax each structure by several methods on the same parent and compare what they cost.

    With --table and no STRUCTURE nothing is relaxed: what the store holds is compared. Exit codes
    are those of `relax`.
    """
    console = Console(stderr=True)
    with told_apart(console):
        runs = bool(structures or vasp_inputs)
        check_together(context, table=table, runs=runs)
        wanted = WantedTables(count, table_format, pairs, systems, against, output)
        if table and not runs:
            found = comparisons(open_store(store), reference, tag=only_tag(tag))
            if reference is None:
                chosen = found[0].reference_method
                said = f"measured against {chosen}; --reference names another"
                console.print(said, markup=False, highlight=False, soft_wrap=True)
            wanted.show(found, [each.strip() for each in methods.split(",")] if methods else None)
            return
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
        makers = words.makers((methods or DEFAULT_METHODS).split(","))
        maker = CompareMaker(makers=makers, reference=reference)
        wanted.check([each.name for each in makers])
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
        results = _run(
            maker,
            inputs,
            open_store(store),
            directory,
            console,
            fresh=fresh,
            as_json=as_json,
            quiet=table,
        )
        compared = [each for each in results if isinstance(each, ComparisonDoc)]
        if table and compared:
            wanted.show(compared)
        raise typer.Exit(exit_code(results))


def _run(
    maker: CompareMaker,
    inputs: Sequence[Input],
    store: JobStore,
    directory: Path,
    console: Console,
    *,
    fresh: bool,
    as_json: bool,
    quiet: bool,
) -> list[Any]:
    """Compare on one structure after the other; return all documents, and what ended a job."""
    results: list[Any] = []
    for each in inputs:
        ended: list[Any] = []
        flow = maker.make(each.atoms)
        for name, result in run_flow(flow, store, directory / each.name, console, fresh=fresh):
            ended.append(result)
            if as_json:
                print_json(f"{each.name}/{name}", result)
        if not as_json and not quiet:
            _show(ended)
        results += ended
    return results


def _show(ended: list[Any]) -> None:
    (comparison,) = [each for each in ended if isinstance(each, ComparisonDoc)]
    console = printer()
    console.print(side_by_side([each for each in ended if isinstance(each, RelaxationDoc)]))
    console.print()
    console.print(comparison_table(comparison))
