"""What a relaxation leaves in its folder, for people and other programs."""

from __future__ import annotations

from pathlib import Path

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from finetuna_flows.geometry import moved
from finetuna_flows.records import Relaxation, Step

RELAXED, LABELS, CONTCAR = "relaxed.extxyz", "labels.extxyz", "CONTCAR"


def write_files(relaxation: Relaxation, directory: Path, *, contcar: bool = True) -> None:
    """Write the endpoint and every labelled geometry; nothing if the parent was never asked.

    ``relaxed.extxyz`` and ``labels.extxyz`` hold energies in eV, raw forces in eV/Å, constraints
    and tags; ``CONTCAR``, where there is a cell, the endpoint with selective dynamics, unless
    `contcar` says that VASP's own stays.
    """
    if relaxation.endpoint is None:
        return
    ase.io.write(directory / LABELS, [_labelled(relaxation, step) for step in relaxation.labelled])
    end = _labelled(relaxation, relaxation.endpoint)
    ase.io.write(directory / RELAXED, end)
    if contcar and relaxation.start.cell.rank == 3:
        ase.io.write(directory / CONTCAR, end, format="vasp", direct=True)


def _labelled(relaxation: Relaxation, step: Step) -> Atoms:
    atoms = moved(relaxation.start, step.positions)
    atoms.info = {"step": step.index}
    atoms.calc = SinglePointCalculator(atoms, energy=step.energy, forces=step.forces)
    return atoms
