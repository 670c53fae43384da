"""The parents in a user's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from monty.json import MSONable

from finetuna_flows.calculators import absolute
from finetuna_flows.protocols import ParentCalculator

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure
    from pymatgen.io.vasp import VaspInput


class Continuation(StrEnum):
    """What an engine keeps from one label to the next: the paper's M1, M2 and M3."""

    COLD = "cold"
    """M1: nothing; every label starts from scratch."""
    RESTART = "restart"
    """M2: the wave functions and the density, read back from a file."""
    KEPT = "kept"
    """M3: the engine itself stays alive."""


@dataclass(frozen=True)
class AseParentSpec(MSONable):
    """Any ASE calculator as the parent."""

    calculator: str = "ase.calculators.emt:EMT"
    """``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``; a file is remembered by its absolute path, so
    that a job in another folder finds it."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Passed to the callable by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calculator", absolute(self.calculator))
        object.__setattr__(self, "arguments", dict(self.arguments))

    def build(self) -> ParentCalculator:
        """Call it."""
        from finetuna_flows.parents.ase_engine import AseParent

        return AseParent.from_target(self.calculator, self.arguments)


@dataclass(frozen=True)
class GpawParentSpec(MSONable):
    """Density functional theory by GPAW, coarse enough for a laptop.

    Meant to show and to test; for results that are to be published, raise `cutoff` and
    `kpoint_length` until nothing changes, or take VASP with OC20's settings.
    """

    functional: str = "RPBE"
    """OC20's and the FINETUNA paper's, made for adsorption energies (Hammer, Hansen, Nørskov,
    Phys. Rev. B 59, 7413 (1999)). ``PBE`` has PAW data sets for more elements."""
    cutoff: float = 300.0
    """eV; of the plane waves. OC20 takes 350."""
    kpoint_length: float = 12.0
    """Å; points along a cell vector are this over its length, rounded: 2×2×1 for a 2×2 surface
    cell of Al. OC20 takes 40."""
    width: float = 0.1
    """eV; of the Fermi-Dirac smearing."""
    energy_convergence: float = 1e-4
    """eV per valence electron."""
    density_convergence: float = 1e-4
    """Electrons per valence electron."""
    eigenstates_convergence: float = 1e-6
    """eV² per valence electron."""
    max_iterations: int = 200
    """SCF cycles after which the label is given up."""
    vacuum: float = 5.0
    """Å; from the atoms to the wall of the box that molecules without a cell are put into."""
    continuation: Continuation = Continuation.KEPT

    def __post_init__(self) -> None:
        object.__setattr__(self, "continuation", Continuation(self.continuation))
        for name in ("cutoff", "kpoint_length", "width", "vacuum"):
            _refuse_unless_positive(name, getattr(self, name))
        _refuse_unless_positive("max_iterations", self.max_iterations)

    def build(self) -> ParentCalculator:
        """Look for GPAW and its data sets; it reports to the directory of this moment."""
        from finetuna_flows.parents.gpaw_engine import GpawParent

        return GpawParent(self)


@dataclass(frozen=True)
class TbliteParentSpec(MSONable):
    """GFN1-xTB by tblite, at the Γ point; where GPAW cannot be had.

    Metals have lattice constants of their own in it, several per cent too large; slabs should be
    built at these.
    """

    temperature: float = 300.0
    """K; of the electrons."""
    accuracy: float = 1.0
    """tblite's factor on all its thresholds; smaller is tighter."""
    max_iterations: int = 250
    """SCF cycles after which the label is given up."""
    vacuum: float = 10.0
    """Å; from the atoms to the wall of the box where a cell vector is missing."""
    continuation: Continuation = Continuation.KEPT

    def __post_init__(self) -> None:
        object.__setattr__(self, "continuation", Continuation(self.continuation))
        if self.continuation is Continuation.RESTART:
            raise ValueError(
                "`continuation` is 'restart' but tblite has only 'kept' and 'cold'; take 'kept'"
            )
        for name in ("temperature", "accuracy", "max_iterations", "vacuum"):
            _refuse_unless_positive(name, getattr(self, name))

    def build(self) -> ParentCalculator:
        """Look for tblite."""
        from finetuna_flows.parents.tblite_engine import TbliteParent

        return TbliteParent(self)


@dataclass(frozen=True)
class EmbeddedParentSpec(MSONable):
    """The parent for those who have no VASP: GPAW where it is installed, else tblite."""

    engine: str = "auto"
    """``gpaw``, ``tblite``, or ``auto`` for the first of them that is installed."""
    continuation: Continuation = Continuation.KEPT

    def __post_init__(self) -> None:
        object.__setattr__(self, "continuation", Continuation(self.continuation))
        if self.engine not in ("auto", "gpaw", "tblite"):
            raise ValueError(f"`engine` is {self.engine!r} but must be gpaw, tblite or auto")

    def build(self) -> ParentCalculator:
        """Pick the engine."""
        from finetuna_flows.parents.embedded import build_embedded

        return build_embedded(self.engine, self.continuation)


class InputSetGenerator(Protocol):
    """What atomate2's generators do, whichever package they come from."""

    @property
    def user_incar_settings(self) -> Mapping[str, Any]:
        """Tags that the user set himself."""
        ...

    def get_input_set(
        self,
        structure: Structure | None = None,
        prev_dir: str | Path | None = None,
        potcar_spec: bool = False,
    ) -> VaspInput:
        """Make INCAR, KPOINTS, POSCAR and POTCAR for a structure."""
        ...


@dataclass(frozen=True)
class VaspParentSpec(MSONable):
    """VASP by its own drivers; which program that is says the machine (`Settings.vasp_command`)."""

    input_set_generator: InputSetGenerator = field(default_factory=lambda: _oc20())
    """A generator of atomate2 or pymatgen. Tags that move atoms are replaced
    (`parents.vasp.incar`); `user_incar_settings` that contradict a label are refused."""
    continuation: Continuation = Continuation.KEPT
    """``kept``: INTERACTIVE; ``restart``: from the last WAVECAR; ``cold``: from scratch."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "continuation", Continuation(self.continuation))
        if not callable(getattr(self.input_set_generator, "get_input_set", None)):
            raise TypeError(
                f"`input_set_generator` is {self.input_set_generator!r} but must be a generator "
                "of VASP input sets, such as atomate2's RelaxSetGenerator()"
            )

    @property
    def set_name(self) -> str:
        """Class of the generator."""
        return type(self.input_set_generator).__name__

    def build(self) -> ParentCalculator:
        """Look for the command; VASP is started by the first label."""
        if self.continuation is Continuation.KEPT:
            from finetuna_flows.parents.vasp.interactive import InteractiveVasp

            return InteractiveVasp(self)
        from finetuna_flows.parents.vasp.fresh import FreshVasp

        return FreshVasp(self)


def _oc20() -> InputSetGenerator:
    from finetuna_flows.parents.vasp.sets import OC20SetGenerator

    return OC20SetGenerator()


def _refuse_unless_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"`{name}` is {value} but must be positive")
