"""GPAW as the parent: real density functional theory without a licence or a server.

The setting is small and fast, and the same for every structure (`GpawParentSpec`). Its three
continuations are the M1, M2 and M3 of the FINETUNA paper. GPAW's text goes to ``gpaw.txt`` in
the directory where the parent is built.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.ase_engine import failure, measure
from finetuna_flows.parents.cells import bare_copy, kpoint_grid
from finetuna_flows.parents.specs import Continuation, GpawParentSpec
from finetuna_flows.records import Label

TEXT_FILE = "gpaw.txt"
"""Where GPAW reports; appended to."""

REMEDY = (
    "run `pip install 'finetuna-flows[gpaw]'`, which needs a C++ compiler, "
    "or `sh workflows/install/embedded.sh` in a checkout, which configures the build too"
)

SETUPS: Mapping[str, str] = {"Pt": "10"}
"""PAW data sets other than GPAW's default: 10 valence electrons, as OC20's Pt has."""


class GpawParent:
    """GPAW, started by the first label and gone on exit; may be entered again."""

    def __init__(self, spec: GpawParentSpec) -> None:
        """Look for GPAW and its data sets, but start nothing.

        Raises
        ------
        ParentError
            If they are not there; the message says how to get them.
        """
        self._elements = installed_elements(spec.functional)
        self._spec = spec
        self._directory = Path.cwd()
        self._live: Any = None  # GPAW's calculator, which is none of ASE's classes
        self._answered: Atoms | None = None
        self._text: TextIO | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def level(self) -> str:
        """Version, functional, plane waves, smearing and k-points."""
        spec = self._spec
        return (
            f"GPAW {version('gpaw')} {spec.functional} PW({spec.cutoff:g} eV), "
            f"Fermi-Dirac {spec.width:g} eV, k-points {spec.kpoint_length:g} Å, no spin"
        )

    @property
    def elements(self) -> frozenset[str]:
        """Symbols for which a PAW data set of the functional is installed."""
        return self._elements

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live = self._answered = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._text is not None:
            self._text.close()
            self._text = None

    def label(self, atoms: Atoms) -> Label:
        """Energy extrapolated to zero smearing, free energy and raw forces.

        Raises
        ------
        ParentError
            If GPAW fails, with its words. The next label then starts from scratch.
        """
        started = time.perf_counter()
        bare = bare_copy(atoms, self._spec.vacuum)
        live, before = self._live, self._answered
        self._live = self._answered = None  # until this label is good
        try:
            calculator = self._continued(live, before, bare) or self._fresh(bare)
            known = calculator is live and before == bare
            label = measure(calculator, bare, self.level, known=known)
            self._keep(calculator)
        except ParentError as exc:
            raise ParentError(
                f"{exc} (at most {self._spec.max_iterations} SCF cycles; "
                f"GPAW reports in {self._directory / TEXT_FILE})",
                retryable=exc.retryable,
            ) from exc.__cause__
        except (OSError, RuntimeError, ValueError) as exc:
            raise failure(self.level, exc) from exc
        self._answered = bare
        return replace(label, wall_time=time.perf_counter() - started)

    def _fresh(self, bare: Atoms) -> Any:
        from gpaw import GPAW

        spec = self._spec
        return GPAW(
            mode={"name": "pw", "ecut": spec.cutoff},
            xc=spec.functional,
            kpts={"size": kpoint_grid(bare, spec.kpoint_length), "gamma": False},
            occupations={"name": "fermi-dirac", "width": spec.width},
            symmetry={"point_group": False},  # moving atoms break it
            convergence={
                "energy": spec.energy_convergence,
                "density": spec.density_convergence,
                "eigenstates": spec.eigenstates_convergence,
            },
            maxiter=spec.max_iterations,
            setups=dict(SETUPS),
            spinpol=False,
            txt=self._report(),
        )

    def _continued(self, live: Any, before: Atoms | None, bare: Atoms) -> Any:
        """Return what the last label left behind; None if that is nothing, or another crystal."""
        if before is None or not self._same_calculation(before, bare):
            return None
        if live is not None or self._folder is None:
            return live
        from gpaw import GPAW

        return GPAW(self._file("state.gpw"), txt=self._report())

    def _keep(self, calculator: Any) -> None:
        match self._spec.continuation:
            case Continuation.KEPT:
                self._live = calculator
            case Continuation.RESTART:
                if self._folder is None:
                    self._folder = tempfile.TemporaryDirectory(
                        dir=self._directory, prefix="gpaw_restart_"
                    )
                # the calculator may still read from the old file while it writes
                calculator.write(self._file("next.gpw"), mode="all")
                self._file("next.gpw").replace(self._file("state.gpw"))

    def _same_calculation(self, before: Atoms, now: Atoms) -> bool:
        length = self._spec.kpoint_length
        return (
            np.array_equal(before.numbers, now.numbers)
            and np.array_equal(before.pbc, now.pbc)
            and np.array_equal(before.cell, now.cell)
            and kpoint_grid(before, length) == kpoint_grid(now, length)
        )

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / name

    def _report(self) -> TextIO:
        if self._text is None:
            self._text = (self._directory / TEXT_FILE).open("a", encoding="utf-8")
        return self._text


def installed_elements(functional: str) -> frozenset[str]:
    """Symbols for which GPAW finds a PAW data set of `functional`.

    Raises
    ------
    ParentError
        If GPAW cannot be imported or finds no such data set.
    """
    try:
        import gpaw.cgpaw  # the compiled part
    except ImportError as exc:
        raise ParentError(f"GPAW cannot be imported ({exc}); {REMEDY}") from exc
    names = {
        path.name.removesuffix(".gz").partition(".")
        for folder in gpaw.setup_paths
        for path in Path(folder).glob(f"*.{functional}*")
    }
    symbols = frozenset(
        symbol for symbol, _, rest in names if rest == functional and symbol in atomic_numbers
    )
    if not symbols:
        raise ParentError(
            f"GPAW finds no PAW data set for {functional} in {[str(p) for p in gpaw.setup_paths]}; "
            f"{REMEDY}, or set GPAW_SETUP_PATH"
        )
    return symbols
