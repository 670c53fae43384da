"""``finetuna-flows serve``: a parent for a learner, or for any driver that speaks i-PI."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from finetuna_flows.cli import options
from finetuna_flows.cli.exits import told_apart
from finetuna_flows.cli.parse import parse_parent, parse_vasp_inputs
from finetuna_flows.colocation.address import parse_address
from finetuna_flows.colocation.client import Client
from finetuna_flows.colocation.invitation import Invitation
from finetuna_flows.colocation.own_process import ServiceProcess
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.rendezvous import PARENT_LEFT
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.colocation.service import locked
from finetuna_flows.colocation.specs import check_launcher, make_order
from finetuna_flows.colocation.twins import Attendance, Meeting
from finetuna_flows.protocols import ParentCalculator, Spec
from finetuna_flows.structures.read import parse_source, read_structure

DEFAULT = Patience()

Structure = Annotated[
    str | None,
    typer.Argument(help="What is labelled, for --connect: i-PI says only where the atoms are."),
]
Twin = Annotated[
    str | None,
    typer.Option(help="Name that the learner was given too, as in relax --parent twin:NAME."),
]
Connect = Annotated[
    str | None,
    typer.Option(help="Where a driver that speaks i-PI listens: unix:PATH or tcp:HOST:PORT."),
]
Launcher = Annotated[
    str, typer.Option(help="Starts the parent's process, as in 'mpirun -n 16'; not for VASP.")
]
Wait = Annotated[float, typer.Option(help="Seconds until the learner must be there.")]
Idle = Annotated[float, typer.Option(help="Seconds that it may be silent.")]
Directory = Annotated[Path, typer.Option("--directory", "-d", help="Where labels are kept.")]


def serve(
    structure: Structure = None,
    twin: Twin = None,
    connect: Connect = None,
    parent: options.Parent = None,
    parent_args: options.ParentArgs = None,
    vasp_inputs: options.VaspInputs = None,
    launcher: options.Launcher = "",
    wait: Wait = DEFAULT.meet,
    idle: Idle = DEFAULT.idle,
    directory: Directory = Path("runs/served"),
) -> None:
    """Label geometries for a learner elsewhere, until it has finished.

    Every label is on disk before it is sent, and no geometry is computed twice, whether it is asked
    for again at once (as line searches do) or by the same command started again. Twins
    meet in the folder FINETUNA_FLOWS_RENDEZVOUS_PATH, which must be the same for both; two pairs at
    once need two --directory. Exit codes are those of `relax`.
    """
    console = Console(stderr=True)
    with told_apart(console):
        if (twin is None) == (connect is None):
            raise ValueError("say either --twin NAME, for a learner of ours, or --connect ADDRESS")
        if vasp_inputs is not None:
            spec, _ = parse_vasp_inputs(vasp_inputs, None, parent_args)
        else:
            spec = parse_parent(parent or "embedded", parent_args)
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        patience = Patience(meet=wait, idle=idle)
        if twin is not None:
            placement = Placement(process="own", launcher=launcher)
            report = _serve_twin(spec, Meeting(key=twin, patience=patience), directory, placement)
        else:
            if launcher:
                raise ValueError(f"--launcher is {launcher!r} but belongs to --twin; leave it out")
            report = _serve_driver(spec, str(connect), structure, directory, idle)
        console.print(
            f"{report.calls} labels sent, {report.recalled} of them computed before, "
            f"{report.scf_cycles or 'unknown'} SCF cycles, {report.label_time:.1f} s labelling, "
            f"{report.waiting_time:.1f} s waiting",
            highlight=False,
            soft_wrap=True,
        )


def _serve_twin(
    spec: Spec[ParentCalculator], meeting: Meeting, directory: Path, placement: Placement
) -> ServiceReport:
    check_launcher(spec, placement)
    meeting.remove(PARENT_LEFT)  # of an earlier try
    try:
        order = make_order(spec, meeting.patience, placement)
        Attendance(ServiceProcess(order, directory, placement), meeting).run()
    except BaseException as error:
        meeting.say_left(PARENT_LEFT, error)
        raise
    return ServiceReport.read(directory) or ServiceReport()


def _serve_driver(
    spec: Spec[ParentCalculator], address: str, structure: str | None, directory: Path, idle: float
) -> ServiceReport:
    if structure is None:
        raise ValueError(
            "no structure is named, but i-PI says only where the atoms are; name a file whose "
            "atoms are in the driver's order"
        )
    atoms = read_structure(*parse_source(structure))
    atoms.set_constraint()
    invitation = Invitation((str(parse_address(address)),), "")
    with chdir(directory), locked(directory), invitation.accept() as connection:
        client = Client(connection, spec.build(), directory, "", idle, atoms)
        try:
            with client.entered:
                client.serve()
        finally:
            client.finish()
    return client.report
