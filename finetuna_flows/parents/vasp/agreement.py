"""Whether what VASP has said agrees with what it has filed, and with what it was asked."""

from __future__ import annotations

import numpy as np
from ase.geometry import find_mic

from finetuna_flows.geometry import Array
from finetuna_flows.parents.vasp.run import VaspRun
from finetuna_flows.parents.vasp.stream import IonicStep
from finetuna_flows.vasp.calculation import FiledStep

SAME_PLACE = 5e-5
"""Å; OUTCAR has five decimals."""
SAME_FORCE = 5e-6
"""eV/Å; OUTCAR has six decimals."""
SAME_ENERGY = 1e-6
"""Relative; standard output has eight digits."""


def check_filed(run: VaspRun, asked: Array, cell: Array, said: IonicStep, filed: FiledStep) -> None:
    """Compare an answer with what VASP has filed of it.

    Parameters
    ----------
    run
        For the message.
    asked
        Cartesian positions in Å in POSCAR's order, shape (n, 3).
    cell
        Lattice vectors in Å, one a row.
    said
        On standard output.
    filed
        In a file.

    Raises
    ------
    ParentError
        If the files speak of other positions, energies or forces: the answer is an old one, or is
        somebody else's.
    """
    for rows in (filed.positions, filed.forces):
        if rows.shape != asked.shape:
            raise run.failure(f"has filed {len(rows)} rows for {len(asked)} atoms")
    apart, _ = find_mic(filed.positions - asked, cell, pbc=True)
    _refuse_apart(run, "positions", np.abs(apart).max(initial=0.0), SAME_PLACE, "Å")
    for name, here, there in (
        ("E0", said.energy, filed.energy),
        ("F", said.free_energy, filed.free_energy),
    ):
        allowed = SAME_ENERGY * max(1.0, abs(here))
        _refuse_apart(run, name, abs(here - there), allowed, "eV")
    if said.forces is not None:
        off = np.abs(said.forces - filed.forces).max(initial=0.0)
        _refuse_apart(run, "forces", off, SAME_FORCE, "eV/Å")


def _refuse_apart(run: VaspRun, name: str, off: float, allowed: float, unit: str) -> None:
    if not off <= allowed:
        raise run.failure(
            f"has filed {name} that differ by {off:g} {unit} from what was asked and said; "
            f"at most {allowed:.1g} is rounding, so the answer is not to be trusted"
        )
