"""The options that `relax` and `compare` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finetuna_flows.cli.study import Format
from finetuna_flows.cli.words import METHODS
from finetuna_flows.results.tables.counting import Count

Structures = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STRUCTURE…",
        help="Files that ASE or pymatgen read; FILE@3 takes the fourth of several. "
        "[default: POSCAR of --vasp-inputs]",
    ),
]
VaspInputs = Annotated[
    Path | None,
    typer.Option(
        help="Folder with INCAR, KPOINTS, POSCAR and POTCAR: VASP labels with exactly these "
        "settings."
    ),
]
Method = Annotated[str, typer.Option(help=f"How to relax: {', '.join(METHODS)}.")]
Methods = Annotated[
    str | None,
    typer.Option(
        help=f"Methods to compare, with commas: {', '.join(METHODS)}; with --table alone, names "
        "of those in the store. [default: online,BFGS; of those in the store all]"
    ),
]
SURROGATES = (
    "chgnet, chgnet:MODEL, sevennet, sevennet:MODEL, fairchem:NAME, fairchem:FILE, saved:NAME, "
    "ensemble: before one of these, nuclear, toy, ase:MODULE:CALLABLE, ase:FILE.py:CALLABLE."
)
Surrogate = Annotated[str | None, typer.Option(help=f"{SURROGATES} [default: the method's]")]
SurrogateArgs = Annotated[str | None, typer.Option(help="Arguments of the surrogate, as JSON.")]
Tuner = Annotated[
    str | None,
    typer.Option(
        help="gp, gradient, last-layer, curvature, or several as in gradient+gp. "
        "[default: the method's]"
    ),
]
TunerArgs = Annotated[
    str | None, typer.Option(help='Arguments by tuner, as JSON: {"gp": {"length": 0.8}}.')
]
Parent = Annotated[
    str | None,
    typer.Option(
        help="embedded, gpaw, tblite, vasp (each with :cold, :restart or :kept), emt, "
        "ase:MODULE:CALLABLE, ase:FILE.py:CALLABLE, ipi (an engine that speaks i-PI, see "
        "--parent-args), twin:NAME (see serve). [default: embedded]"
    ),
]
ParentArgs = Annotated[
    str | None,
    typer.Option(
        help="Arguments of an ase:, gpaw or tblite parent, or of VASP's input set, as JSON: "
        '{"user_incar_settings": {"ENCUT": 400}}; of ipi: {"command": "pw.x -in espresso.pwi '
        '--ipi {name}:UNIX", "calculator": "MODULE:CALLABLE", "arguments": {…}}.'
    ),
]
ParentProcess = Annotated[
    str | None,
    typer.Option(
        help="own: the parent has a process of its own; same: it shares the learner's. "
        "[default: the settings' parent_process]"
    ),
]
Launcher = Annotated[
    str, typer.Option(help="Starts the parent's process, as in 'mpirun -n 16'; not for VASP.")
]
Criterion = Annotated[
    str | None,
    typer.Option(
        help="When to ask the parent, besides before stopping; NAME or NAME:NUMBER, any of several "
        "with commas: first, relaxed, every, static, dynamic, displacement. "
        "[default: the method's]"
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(help="ASE's name of the optimizer on the surrogate. [default: the method's]"),
]
Fmax = Annotated[
    float | None,
    typer.Option(
        help="eV/Å over the free atoms, by the parent. [default: EDIFFG of --vasp-inputs, or 0.03]"
    ),
]
MaxSteps = Annotated[int, typer.Option(help="Geometries, predicted and labelled ones alike.")]
MaxCalls = Annotated[int | None, typer.Option(help="Parent calls.")]
MaxTime = Annotated[float | None, typer.Option(help="Seconds of wall time.")]
Adsorbate = Annotated[
    str | None,
    typer.Option(help="Indices of the adsorbate's atoms from 0, as in 36,37 or 36-39; else tags."),
]
FixLayers = Annotated[
    int, typer.Option(help="Fix this many bottom layers, besides what the file fixes.")
]
Rattle = Annotated[
    float, typer.Option(help="Å; displace the free atoms at random before relaxing.")
]
Seed = Annotated[int, typer.Option(help="Of --rattle.")]
Tag = Annotated[list[str] | None, typer.Option(help="Word to find the documents by; repeatable.")]
Store = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a local results store. [default: jobflow's, else the settings' store_path]"
    ),
]
Directory = Annotated[
    Path,
    typer.Option("--directory", "-d", help="Where the runs are: a folder a structure and method."),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh/--resume",
        help="Start anew and set an earlier ledger aside, or go on with it.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved spec, and VASP's INCAR, and stop.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document a line on stdout.")]
Reference = Annotated[
    str | None,
    typer.Option(
        help="Method that the others are measured against. [default: the last; of those in the "
        "store VASP CG, else BFGS]"
    ),
]
Table = Annotated[
    bool,
    typer.Option(
        "--table",
        help="Tables over all systems, with their errors: of the structures named, else of the "
        "store.",
    ),
]
CountingRule = Annotated[
    Count,
    typer.Option("--count", help="Parent calls that --table counts: all, or all but the first."),
]
TableFormat = Annotated[
    Format | None,
    typer.Option(
        "--format", help="How --table is written. [default: by the suffix of --output, else text]"
    ),
]
Pairs = Annotated[
    bool,
    typer.Option("--pairs", help="Add methods in pairs to --table; in CSV nothing else."),
]
Against = Annotated[
    str | None, typer.Option(help="As --pairs, but of each method with this one alone.")
]
Systems = Annotated[
    bool,
    typer.Option("--systems", help="Add every single system to --table; in CSV nothing else."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File for --table. [default: print it]")
]
