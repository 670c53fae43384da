"""Which relaxations are of one system: those that started from the same geometry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array
from finetuna_flows.structures.fingerprint import SAME_START


def same_start(first: Atoms, second: Atoms) -> bool:
    """Whether two given geometries are one, wrapping and rounding apart."""
    return len(group_by_start([("first", first), ("second", second)])) == 1


def group_by_start(starts: Iterable[tuple[str, Atoms]]) -> list[list[str]]:
    """Put together what started from one geometry.

    Atoms are matched by their order. The first of a group stands for it: whatever lies within
    `SAME_START` of it, by the minimum image, belongs to it.

    Parameters
    ----------
    starts
        What each is called, with its geometry.

    Returns
    -------
    The names, group by group, in the order in which they came.
    """
    known: dict[tuple[bytes, bytes], _Geometries] = defaultdict(_Geometries)
    groups: list[list[str]] = []
    for name, atoms in starts:
        alike = known[atoms.numbers.tobytes(), atoms.pbc.tobytes()]
        found = alike.find(atoms)
        if found is None:
            alike.add(atoms, len(groups))
            groups.append([])
            found = len(groups) - 1
        groups[found].append(name)
    return groups


class _Geometries:
    """Geometries of the same atoms, each standing for a group."""

    def __init__(self) -> None:
        self._groups: list[int] = []
        self._cells = np.empty((0, 3, 3))
        self._positions = np.empty((0, 0, 3))

    def add(self, atoms: Atoms, group: int) -> None:
        """Remember a geometry; room is doubled, so that many cost little."""
        count = len(self._groups)
        if count == len(self._cells):
            room = max(4, 2 * count)
            self._cells = _grown(self._cells, (room, 3, 3))
            self._positions = _grown(self._positions, (room, len(atoms), 3))
        self._cells[count] = atoms.cell
        self._positions[count] = atoms.positions
        self._groups.append(group)

    def find(self, atoms: Atoms) -> int | None:
        """The group of the first geometry that is this one; None if it is new."""
        count = len(self._groups)
        if not count:
            return None
        same_cell = np.abs(self._cells[:count] - np.asarray(atoms.cell)).max(axis=(1, 2))
        near = np.flatnonzero(same_cell <= SAME_START)
        ways = self._positions[near] - atoms.positions
        if atoms.pbc.any():
            cell = np.asarray(atoms.cell.complete())
            fractions = ways @ np.linalg.inv(cell)
            ways = (fractions - np.round(fractions) * atoms.pbc) @ cell
        farthest = np.linalg.norm(ways, axis=2).max(axis=1, initial=0.0)
        same = near[farthest <= SAME_START]
        return self._groups[same[0]] if len(same) else None


def _grown(array: Array, shape: tuple[int, int, int]) -> Array:
    larger = np.empty(shape)
    larger[: len(array)] = array.reshape(len(array), *shape[1:])
    return larger
