"""The published systems of a data folder: start, fitted parent, and what VASP and others took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from finetuna_flows.calculators import load_calculator
from finetuna_flows.parents.specs import AseParentSpec

FMAX = 0.03
"""eV/Å over the free atoms; of OC20 and of the paper."""
ENERGY_TOLERANCE = 0.02
"""eV above VASP CG's end that still counts as success: the paper's one-sided test."""
SAME_MINIMUM = 0.03
"""eV; so near the lowest label must lie to an end that is lower than VASP CG's."""
SAME_SCALE = 0.01
"""eV; so near to VASP CG's end some label of a fitted parent must lie."""
CG = "VASP_CG"
K_STEPS = "K_steps"


@dataclass(frozen=True)
class PublishedRun:
    """A relaxation with real DFT, as released."""

    calls: int
    energy_difference: float
    """eV; its end minus VASP CG's."""
    fmax: float
    """eV/Å at its end, over the free atoms."""

    @property
    def success(self) -> bool:
        """By the paper's rule."""
        return self.fmax <= FMAX and self.energy_difference <= ENERGY_TOLERANCE


@dataclass(frozen=True)
class PublishedSystem:
    """One system with its fitted parent."""

    sid: str
    atoms: Atoms
    """The start, with constraints and tags."""
    parent: AseParentSpec
    parent_key: str
    """Tells the fitted parent and its calculator from any other content."""
    cg_energy: float
    """eV; where VASP CG ended."""
    runs: dict[str, PublishedRun]
    """Released relaxations by method, VASP CG's among them."""

    @property
    def cg_calls(self) -> int:
        """What VASP CG took."""
        return self.runs[CG].calls

    @property
    def size(self) -> int:
        """Grows with the time that a relaxation takes."""
        return len(self.atoms) * self.cg_calls

    def calculator(self) -> BaseCalculator:
        """Load the fitted parent."""
        return load_calculator(self.parent.calculator, self.parent.arguments)


def read_systems(data: Path, sids: Sequence[str], parents: str) -> list[PublishedSystem]:
    """Read the systems asked for, or all that have a fitted parent.

    Parameters
    ----------
    data
        Folder with ``initial_structures.extxyz``, ``fitted_parent.py``,
        ``reference_table.json`` and the folder `parents`.
    sids
        None at all: every system that has a file in `parents`.
    parents
        Name of the folder with the fitted parents.

    Raises
    ------
    ValueError
        If a system is not there, or its parent's energies are on another scale than VASP CG's.
    """
    table = json.loads((data / "reference_table.json").read_text())
    frames = ase.io.read(data / "initial_structures.extxyz", ":")
    starts = {str(frame.info["sid"]).removeprefix("random"): frame for frame in frames}
    fitted = [sid for sid in starts if (data / parents / f"{sid}.npz").is_file()]
    asked = [sid.removeprefix("random") for sid in sids] or fitted
    missing = sorted(set(asked) - set(fitted))
    if missing or not asked:
        raise ValueError(
            f"systems are {', '.join(missing) or 'none'} but {data / parents} holds "
            f"{', '.join(fitted) or 'no parent of a system in initial_structures.extxyz'}"
        )
    return [_system(data, parents, sid, starts[sid], table[sid]) for sid in asked]


def labels_of(calculator: BaseCalculator) -> np.ndarray | None:
    """Energies in eV that a fitted parent was fitted to; None if it does not keep them."""
    energies = getattr(getattr(calculator, "parent", None), "frame_energies", None)
    return None if energies is None else np.asarray(energies, dtype=np.float64)


def _system(
    data: Path, parents: str, sid: str, start: Atoms, table: dict[str, dict[str, float] | None]
) -> PublishedSystem:
    fitted, module = data.resolve() / parents / f"{sid}.npz", data.resolve() / "fitted_parent.py"
    cg = table[CG]
    if cg is None:
        raise ValueError(f"reference_table.json has no {CG} for {sid}; leave the system out")
    cg_energy = float(cg["e_final"])
    runs = {
        method: PublishedRun(
            int(row["dft_calls"]), row["e_final"] - cg_energy, float(row["fmax_final"])
        )
        for method, row in table.items()
        if row is not None
    }
    system = PublishedSystem(
        sid=sid,
        atoms=start,
        parent=AseParentSpec(f"{module}:FittedParentCalculator", {"sid_or_path": str(fitted)}),
        parent_key=sha256(fitted.read_bytes() + module.read_bytes()).hexdigest()[:16],
        cg_energy=cg_energy,
        runs=runs,
    )
    labels = labels_of(system.calculator())
    if labels is not None and np.abs(labels - cg_energy).min() > SAME_SCALE:
        raise ValueError(
            f"the labels of {fitted} lie between {labels.min():.3f} and {labels.max():.3f} eV but "
            f"one must lie within {SAME_SCALE} eV of VASP CG's end, {cg_energy:.3f} eV; fit the "
            "parent to energies of the same kind (VASP's E0)"
        )
    return system
