"""WAVECAR and CHGCAR: small files that hold the geometry they belong to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .fortran import scientific
from .structure import Structure, poscar

END = "end of wave functions\n"


def write_wavecar(path: Path, structure: Structure, sentence: str) -> None:
    """Keep the geometry that the wave function belongs to."""
    geometry = {"cell": structure.cell.tolist(), "positions": structure.positions.tolist()}
    path.write_text(f"{sentence}\n{json.dumps(geometry)}\n{END}")


def read_wavecar(path: Path, structure: Structure) -> Structure | None:
    """The geometry of a wave function for as many atoms; None if the file holds no whole one."""
    lines = path.read_text(errors="replace").splitlines(keepends=True) if path.is_file() else []
    if len(lines) != 3 or lines[2] != END:
        return None
    geometry = json.loads(lines[1])
    positions = np.array(geometry["positions"])
    if positions.shape != structure.positions.shape:
        return None
    return Structure("", np.array(geometry["cell"]), structure.kinds, structure.counts, positions)


def write_chgcar(path: Path, structure: Structure, electrons: float, sentence: str) -> None:
    """A uniform density on a grid of eight points."""
    figure = " " + scientific(electrons, 17, 11)
    lines = ["", f"{2:5d}{2:5d}{2:5d}", figure * 5, figure * 3]
    path.write_text(poscar(structure, sentence) + "\n".join(lines) + "\n")
