"""KPOINTS, or the grid that KSPACING asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from .fortran import InputError
from .incar import Incar
from .structure import Array, Structure


@dataclass(frozen=True)
class Kpoints:
    """Points with weights that sum to one; inversion is the only symmetry used."""

    comment: str
    style: str | None
    """``Gamma`` or ``Monkhorst-Pack``; None for a list."""
    divisions: tuple[int, int, int]
    shift: tuple[float, float, float]
    points: Array
    weights: Array


def read_kpoints(directory: Path, incar: Incar, structure: Structure) -> Kpoints:
    """Read the file, or make the grid.

    Raises
    ------
    InputError
        If the file is of a kind that is not known.
    """
    path = directory / "KPOINTS"
    if not path.is_file():
        spacing = incar.real("KSPACING", 0.5)
        lengths = 2 * np.pi * np.linalg.norm(structure.reciprocal, axis=1)
        first, second, third = (max(1, int(np.ceil(length / spacing))) for length in lengths)
        style = "Gamma" if incar.logical("KGAMMA", default=True) else "Monkhorst-Pack"
        return _grid("KSPACING", style, (first, second, third), (0.0, 0.0, 0.0))
    lines = path.read_text().splitlines()
    comment, count, mode = lines[0].strip(), int(lines[1].split()[0]), lines[2].strip().lower()[:1]
    if count > 0 and mode == "r":
        table = np.array(
            [[float(word) for word in line.split()[:4]] for line in lines[3 : 3 + count]]
        )
        weights = table[:, 3] / table[:, 3].sum()
        return Kpoints(comment, None, (1, 1, 1), (0.0, 0.0, 0.0), table[:, :3], weights)
    if count > 0 or mode not in {"g", "m"}:
        raise InputError(
            f"KPOINTS is of the kind {lines[2].strip()!r} but the stand-in reads Gamma and "
            "Monkhorst-Pack grids and lists in reciprocal coordinates"
        )
    first, second, third = (int(word) for word in lines[3].split()[:3])
    words = (lines[4].split() if len(lines) > 4 else []) + ["0"] * 3
    along_a, along_b, along_c = (float(word) for word in words[:3])
    style = "Gamma" if mode == "g" else "Monkhorst-Pack"
    return _grid(comment, style, (first, second, third), (along_a, along_b, along_c))


def _grid(
    comment: str, style: str, divisions: tuple[int, int, int], shift: tuple[float, float, float]
) -> Kpoints:
    weights: dict[tuple[float, ...], float] = {}
    for index in product(*(range(division) for division in divisions)):
        point = []
        for number, division, offset in zip(index, divisions, shift, strict=True):
            centre = 0.0 if style == "Gamma" else (1 - division) / 2
            value = (number + centre + offset) / division
            point.append(round(value - np.ceil(value - 0.5 - 1e-9), 10) + 0.0)
        opposite = tuple(round(-value - np.ceil(-value - 0.5 - 1e-9), 10) + 0.0 for value in point)
        key = opposite if opposite in weights else tuple(point)
        weights[key] = weights.get(key, 0.0) + 1 / np.prod(divisions)
    points = np.array(list(weights))
    return Kpoints(comment, style, divisions, shift, points, np.array(list(weights.values())))
