"""GFN1-xTB by tblite as the parent: a tight-binding stand-in where GPAW cannot be built.

Talks to tblite's own interface, which hands its report to a function; ASE's wrapper prints it.
"""

from __future__ import annotations

import importlib
import logging
import re
import time
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree, kB

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.parents.cells import bare_copy, crystal_lengths
from finetuna_flows.parents.specs import Continuation, TbliteParentSpec
from finetuna_flows.records import Label

logger = logging.getLogger(__name__)

REMEDY = "run `pip install 'finetuna-flows[xtb]'`"

HEAVIEST = "Rn"
"""GFN1-xTB has parameters up to this element (J. Chem. Theory Comput. 13, 1989 (2017))."""

GAMMA_LENGTH = 7.0
"""Å; shorter crystal repeats need more k-points than the one that there is. A 3×3 surface cell
of a late transition metal is longer, a 2×2 cell is not."""


class TbliteParent:
    """tblite in this process; may be entered again, and starts from scratch then."""

    def __init__(self, spec: TbliteParentSpec) -> None:
        """Look for tblite.

        Raises
        ------
        ParentError
            If it is not there; the message says how to get it.
        """
        self._tblite = load_tblite()
        self._spec = spec
        self._report: list[str] = []
        self._calculator: Any = None  # of tblite, which has no types
        self._result: Any = None
        self._answered: Atoms | None = None
        self._warned = False

    @property
    def level(self) -> str:
        """Version, Hamiltonian, electronic temperature and what is left out."""
        spec = self._spec
        return (
            f"tblite {version('tblite')} GFN1-xTB, {spec.temperature:g} K, "
            f"accuracy {spec.accuracy:g}, Γ only, no spin, no charge"
        )

    @property
    def elements(self) -> frozenset[str]:
        """Symbols that GFN1-xTB has parameters for."""
        return frozenset(chemical_symbols[1 : chemical_symbols.index(HEAVIEST) + 1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget()

    def label(self, atoms: Atoms) -> Label:
        """Energy, which contains the entropy of the electrons, and raw forces.

        Raises
        ------
        ParentError
            If tblite fails or does not converge, with its words. The next label then starts
            from scratch.
        """
        started = time.perf_counter()
        bare = bare_copy(atoms, self._spec.vacuum)
        self._warn_of_short_repeats(bare)
        try:
            result = self._solve(bare)
            energy = float(result["energy"]) * Hartree
            forces = -np.asarray(result["gradient"], dtype=np.float64) * Hartree / Bohr
        except RuntimeError as exc:
            raise ParentError(f"{self.level} failed: {exc}") from exc
        if self._spec.continuation is Continuation.KEPT:
            self._result, self._answered = result, bare
        return Label(
            energy=energy,
            forces=forces,
            free_energy=energy,
            scf_cycles=_count_cycles(self._report) or None,  # there is no label without any
            wall_time=time.perf_counter() - started,
        )

    def _solve(self, bare: Atoms) -> Any:
        before, result = self._answered, self._result
        self._answered = self._result = None  # until this label is good
        lattice = np.asarray(bare.cell) / Bohr if bare.pbc.any() else None
        self._report.clear()
        if before is not None and _same_system(before, bare):
            self._calculator.update(positions=bare.positions / Bohr, lattice=lattice)
        else:
            self._calculator = self._new_calculator(bare, lattice)
            result = None
        return self._calculator.singlepoint(result)

    def _new_calculator(self, bare: Atoms, lattice: Array | None) -> Any:
        calculator = self._tblite.Calculator(
            "GFN1-xTB",
            bare.numbers,
            bare.positions / Bohr,
            charge=0.0,
            uhf=0,
            lattice=lattice,
            periodic=bare.pbc,
            logger=self._report.append,
            color=False,
        )
        calculator.set("accuracy", self._spec.accuracy)
        calculator.set("temperature", self._spec.temperature * kB / Hartree)
        calculator.set("max-iter", self._spec.max_iterations)
        return calculator

    def _forget(self) -> None:
        self._calculator = self._result = self._answered = None

    def _warn_of_short_repeats(self, bare: Atoms) -> None:
        shortest = float(crystal_lengths(bare).min())
        if shortest < GAMMA_LENGTH and not self._warned:
            self._warned = True
            logger.warning(
                "the crystal repeats after %.1f Å but tblite has the Γ point alone, which needs "
                "at least %g Å: take a surface cell of 3×3 or more",
                shortest,
                GAMMA_LENGTH,
            )


def load_tblite() -> ModuleType:
    """Import tblite's interface.

    Raises
    ------
    ParentError
        If that is not possible; the message says how to get it.
    """
    try:
        return importlib.import_module("tblite.interface")
    except ImportError as exc:
        raise ParentError(f"tblite cannot be imported ({exc}); {REMEDY}") from exc


def _same_system(before: Atoms, now: Atoms) -> bool:
    return np.array_equal(before.numbers, now.numbers) and np.array_equal(before.pbc, now.pbc)


def _count_cycles(report: Sequence[str]) -> int:
    # a row of the table: cycle, total energy, two errors
    return sum(bool(re.match(r"\s*\d+(\s+-?\d+\.\d+){2}", line)) for line in report)
