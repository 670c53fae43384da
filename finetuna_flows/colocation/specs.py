"""Parents that are elsewhere, in a user's words; and how any parent is given its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from monty.json import MSONable, jsanitize

from finetuna_flows.calculators import absolute, content_key, load_callable
from finetuna_flows.colocation.engine import PLACES, EngineProcess
from finetuna_flows.colocation.own_process import OwnProcess
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.colocation.service import Order
from finetuna_flows.colocation.twins import Meeting, TwinPartner
from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.protocols import ParentCalculator, Spec
from finetuna_flows.settings import Settings


@dataclass(frozen=True)
class IpiParentSpec(MSONable):
    """A program that speaks i-PI itself: Quantum ESPRESSO, ABINIT, NWChem, CP2K, LAMMPS, FHI-aims.

    Examples
    --------
    >>> from finetuna_flows.colocation.specs import IpiParentSpec
    >>> spec = IpiParentSpec(
    ...     command="abinit abinit.in --ipi {name}:UNIX",
    ...     calculator="finetuna_flows.colocation.abinit:abinit",
    ...     arguments={
    ...         "pseudo_dir": "/usr/share/abinit/psp",
    ...         "pseudopotentials": {"Al": "13al.pspnc"},
    ...         "variables": {"ecut": 10, "toldff": 1e-5, "ngkpt": [4, 4, 4]},
    ...     },
    ... )
    """

    command: str
    """Starts it in the folder of its input files, with ``{name}`` where it wants the name of the
    UNIX socket (which it looks for below ``/tmp/ipi_``): ``mpirun -n 8 pw.x -in espresso.pwi --ipi
    {name}:UNIX``."""
    calculator: str
    """``MODULE:CALLABLE`` or ``FILE.py:CALLABLE`` that makes an ASE calculator, which writes the
    input files: ``espresso:espresso``, ``abinit:abinit``, ``nwchem:nwchem`` or
    ``template:template`` of `finetuna_flows.colocation`. Forces are believed to be in the order of
    the atoms, and the energy to be what they are the gradient of."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Passed to the callable by name. A ``{name}`` that they bring into the input files becomes the
    name of the socket too, for engines that read it there."""
    pause: str = "auto"
    """Whether its ranks are stopped between labels: ``yes`` makes it an error where that cannot be
    verified, ``auto`` a warning, ``no`` leaves them polling."""
    patience: Patience = field(default_factory=lambda: Patience(meet=600.0))
    """How long it may take for what."""
    standard_cell: bool = True
    """Whether a cell that is not lower triangular is turned until it is, and the atoms with it, for
    the engine alone: LAMMPS computes another crystal otherwise, and energies of all engines are
    the same. Turn it off where the input names Cartesian directions, such as those of an electric
    field or of spins."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calculator", absolute(self.calculator))
        object.__setattr__(self, "arguments", dict(self.arguments))
        if self.pause not in ("auto", "yes", "no"):
            raise ValueError(f"`pause` is {self.pause!r} but must be auto, yes or no")
        if not any(PLACES.search(words) for words in (self.command, repr(self.arguments))):
            raise ValueError(
                f"`command` is {self.command!r} but must hold {{name}}, which becomes the name of "
                "the UNIX socket, as in `pw.x -in espresso.pwi --ipi {name}:UNIX`, or `arguments` "
                "must bring it into the input files"
            )

    def build(self) -> ParentCalculator:
        """Make what writes the input files; the engine is started for the first label."""
        writer = load_callable(self.calculator)(**self.arguments)
        if not any(hasattr(writer, name) for name in ("write_inputfiles", "write_input")):
            raise ParentError(
                f"{self.calculator} makes a {type(writer).__name__}, which writes no input files"
            )
        said = ", ".join(f"{key}={self.arguments[key]!r}" for key in sorted(self.arguments))
        key = content_key(self.calculator)
        level = f"{type(writer).__name__}({said}) by i-PI" + (f", file {key}" if key else "")
        partner = EngineProcess(
            self.command, writer, Path.cwd(), self.pause, standard_cell=self.standard_cell
        )
        return RemoteParent(partner, self.patience, None, level)  # no proof, so no TCP


@dataclass(frozen=True)
class TwinParentSpec(MSONable):
    """A parent that is served by another job of the same flow."""

    parent: Spec[ParentCalculator] | None = None
    """What that job serves; None where only that job knows."""
    meeting: Meeting = field(default_factory=Meeting)
    """How the two find each other."""
    interface: str | None = None
    """On which the learner listens, for a parent on another machine; None: as its settings say."""

    def build(self) -> ParentCalculator:
        """Get ready to meet it."""
        said = "the parent" if self.parent is None else type(self.parent).__name__
        interface = self.interface or Settings().interface
        return RemoteParent(
            TwinPartner(self.meeting), self.meeting.patience, interface, f"{said} of a twin job"
        )


def place(spec: Spec[ParentCalculator], placement: Placement) -> ParentCalculator:
    """Build a parent where it belongs: here, or in a process of its own.

    Raises
    ------
    ValueError
        If there is a launcher for a parent that starts its programs itself.
    """
    check_launcher(spec, placement)
    elsewhere = isinstance(spec, TwinParentSpec | IpiParentSpec)
    if elsewhere or not placement.is_own(starts_programs(spec)):
        return spec.build()
    order = make_order(spec, placement.patience, placement)
    partner = OwnProcess(order, placement, Path.cwd())
    interface = placement.interface
    if placement.launcher and interface is None:
        interface = Settings().interface  # it may lead to another machine
    return RemoteParent(partner, placement.patience, interface, type(spec).__name__)


def starts_programs(spec: Spec[ParentCalculator]) -> bool:
    """Whether a parent's engine has processes of its own anyway."""
    return isinstance(spec, VaspParentSpec | TwinParentSpec | IpiParentSpec)


def check_launcher(spec: Spec[ParentCalculator], placement: Placement) -> None:
    """Refuse a launcher for a parent that starts its programs itself.

    Raises
    ------
    ValueError
        Saying where that is said instead.
    """
    if placement.launcher and starts_programs(spec):
        raise ValueError(
            f"`launcher` is {placement.launcher!r} but {type(spec).__name__} starts its engine "
            "itself; say how in its own command (VASP: FINETUNA_FLOWS_VASP_COMMAND)"
        )


def make_order(spec: Spec[ParentCalculator], patience: Patience, placement: Placement) -> Order:
    """What a parent's process is to do."""
    if not isinstance(spec, MSONable):
        raise TypeError(f"{spec!r} cannot be sent to another process; make it MSONable")
    return Order(
        spec=jsanitize(spec.as_dict(), strict=True),
        meet=patience.meet,
        idle=patience.idle,
        grace=patience.grace,
        launched=bool(placement.launcher),
    )
