"""POSCAR and what is like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .fortran import InputError, row

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Structure:
    """A crystal of n atoms in the order of POSCAR."""

    comment: str
    cell: Array
    """Å, rows."""
    kinds: tuple[str, ...]
    """Element of each block of atoms."""
    counts: tuple[int, ...]
    positions: Array
    """Fractional, (n, 3), not wrapped."""
    free: NDArray[np.bool_] | None = None
    """(n, 3), along the lattice vectors; None without selective dynamics."""

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def symbols(self) -> list[str]:
        """Element of each atom."""
        return [
            kind for kind, count in zip(self.kinds, self.counts, strict=True) for _ in range(count)
        ]

    @property
    def volume(self) -> float:
        """Å³."""
        return abs(float(np.linalg.det(self.cell)))

    @property
    def cartesian(self) -> Array:
        """Å, (n, 3)."""
        return self.positions @ self.cell

    @property
    def reciprocal(self) -> Array:
        """1/Å, rows, without 2π."""
        return np.asarray(np.linalg.inv(self.cell).T, dtype=np.float64)

    def moved(self, positions: Array) -> Structure:
        """The same atoms at other fractional positions."""
        return replace(self, positions=positions)

    def released(self, vectors: Array) -> Array:
        """Cartesian vectors (n, 3) without their components along fixed directions."""
        if self.free is None:
            return vectors
        freed: Array = (vectors @ np.linalg.inv(self.cell) * self.free) @ self.cell
        return freed


def read_poscar(line: Callable[[], str]) -> Structure:
    """Read a POSCAR of VASP 5 from a source of lines.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return _parse_poscar(line)
    except (ValueError, IndexError) as exc:
        raise InputError(f"POSCAR cannot be read: {exc}") from exc


def _parse_poscar(line: Callable[[], str]) -> Structure:
    comment = line().strip()
    scale = [float(word) for word in line().split()[:3]]
    cell = _numbers(line, 3)
    kinds = tuple(word.split("_")[0].split("/")[0] for word in line().split())
    if not kinds or kinds[0].isdigit():
        raise InputError("POSCAR names no elements in its sixth line, as that of VASP 5 must")
    counts = tuple(int(word) for word in line().split()[: len(kinds)])
    mode = line().strip().lower()
    selective = mode.startswith("s")
    if selective:
        mode = line().strip().lower()
    factor = np.array(scale if len(scale) == 3 else scale[:1] * 3)
    if factor[0] < 0:  # the volume
        factor = np.full(3, (-factor[0] / abs(np.linalg.det(cell))) ** (1 / 3))
    rows = [line().split() for _ in range(sum(counts))]
    positions = np.array([[float(word) for word in words[:3]] for words in rows])
    cell = cell * factor
    if mode.startswith(("c", "k")):
        positions = positions * factor @ np.linalg.inv(cell)
    free = (
        np.array(
            [[word.strip(".").upper().startswith("T") for word in words[3:6]] for words in rows]
        )
        if selective
        else None
    )
    return Structure(comment, cell, kinds, counts, positions, free)


def read_positions(line: Callable[[], str], n_atoms: int) -> Array:
    """Read fractional positions, as Fortran's list-directed READ does.

    Raises
    ------
    InputError
        If a word is no number.
    """
    try:
        return _numbers(line, n_atoms)
    except ValueError as exc:
        raise InputError(f"list-directed I/O syntax error, unit -4, file stdin: {exc}") from exc


def _numbers(line: Callable[[], str], n_rows: int) -> Array:
    rows = []
    for _ in range(n_rows):
        words: list[str] = []
        while len(words) < 3:
            words += line().replace(",", " ").split()
        rows.append([float(word) for word in words[:3]])
    return np.array(rows)


def contcar(structure: Structure, comment: str) -> str:
    """The text of a CONTCAR; velocities are zero."""
    velocities = ["  0.00000000E+00" * 3] * len(structure)
    return "\n".join([poscar(structure, comment).rstrip("\n"), " ", *velocities]) + "\n"


def poscar(structure: Structure, comment: str) -> str:
    """The text of a POSCAR."""
    lines = [comment, f"{1.0:19.14f}     "]
    lines += [" " + row(vector, 22, 16) for vector in structure.cell]
    lines += ["   " + "".join(f"{kind:<5}" for kind in structure.kinds)]
    lines += ["".join(f"{count:6d}" for count in structure.counts)]
    lines += ["Direct"] if structure.free is None else ["Selective dynamics", "Direct"]
    for index, position in enumerate(structure.positions):
        flags = (
            ""
            if structure.free is None
            else "".join(f"   {'FT'[flag]}" for flag in structure.free[index].astype(int))
        )
        lines.append(row(position, 20, 16) + flags)
    return "\n".join(lines) + "\n"
