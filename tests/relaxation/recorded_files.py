"""Relaxations as other programs leave them: frames with energies and forces, in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS

from finetuna_flows.geometry import Array
from tests.systems import oxygen_on_copper

LEARNER_COLUMNS = ("ml_energy", "ml_forces", "parent_energy", "parent_forces")


def frame(atoms: Atoms, energy: float, forces: Array, **results: float) -> Atoms:
    """A copy that remembers what was computed."""
    copy: Atoms = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces, **results)
    return copy


def relaxed_by_ase(steps: int = 100, fmax: float = 0.03) -> list[Atoms]:
    """Oxygen on copper, relaxed by ASE's BFGS with EMT; raw forces, also on the fixed atoms."""
    atoms = oxygen_on_copper()
    atoms.info.clear()
    atoms.calc = EMT()
    frames: list[Atoms] = []

    def note() -> None:
        forces = atoms.get_forces(apply_constraint=False)
        frames.append(frame(atoms, atoms.get_potential_energy(), forces))

    with BFGS(atoms, logfile=None) as optimizer:
        optimizer.attach(note)
        optimizer.run(fmax=fmax, steps=steps)
    return frames


def write_database(frames: Sequence[Atoms], path: Path) -> Path:
    """Write rows in the order of `frames`, whose info becomes key-value pairs."""
    with ase.db.connect(path) as database:
        for each in frames:
            database.write(each, **each.info)
    return path


def write_frames(frames: Sequence[Atoms], path: Path) -> Path:
    """Write frames in the format that the name says."""
    if path.suffix in (".db", ".json"):
        return write_database(frames, path)
    ase.io.write(path, list(frames), format="extxyz" if "extxyz" in path.name else None)
    return path


def write_learner(frames: Sequence[Atoms], path: Path, every: int = 3) -> Path:
    """Rows as FINETUNA's online learner writes them; each `every`th geometry has a label.

    The network says 0.1 eV/Å too much along x, after training 0.05 eV/Å, and its energies are on
    a scale of their own.
    """
    with ase.db.connect(path) as database:
        for number, each in enumerate(frames, start=1):
            forces = each.calc.results["forces"]
            columns = {
                "ml_energy": each.calc.results["energy"] + 300.0,
                "ml_forces": str(np.add(forces, [0.1, 0.0, 0.0])),
                "parent_energy": "-",
                "parent_forces": "-",
                "parent_time": "-",
                "training_time": "-",
                "check": False,
            }
            if number % every == 0:
                columns |= {
                    "parent_energy": each.calc.results["energy"],
                    "parent_forces": str(forces),
                    "parent_time": 1760.0 + number,
                    "retrained_forces": str(np.add(forces, [0.05, 0.0, 0.0])),
                    "training_time": 194.0,
                    "check": True,
                }
            bare = each.copy()
            with np.printoptions(threshold=10_000):
                database.write(bare, **columns)
    return path
