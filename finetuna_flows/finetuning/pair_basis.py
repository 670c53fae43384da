"""A pair potential, linear in its coefficients, for every pair of elements that can move.

Its terms are Gaussians of the distance on a uniform grid, brought to zero at the cutoff by the
cosine of Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007), eq. 4; one set for each pair
of elements. What one atom's neighbours teach so holds for all atoms of its element.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from finetuna_flows.geometry import Array, Mask, free_components
from finetuna_flows.pairs import Pairs, find_pairs

SHORTEST = 0.7
"""Å; centre of the first Gaussian, about the shortest bond there is (H-H, 0.74 Å)."""


@dataclass(frozen=True)
class PairBasis:
    """The terms of one system; d free components, p terms."""

    start: Atoms
    """Says which components are free."""
    cutoff: float
    """Å."""
    functions: int
    """Gaussians for each pair of elements."""

    def terms(self, atoms: Atoms) -> Array:
        """Values of the terms and minus their slopes by the free components, shape (1 + d, p)."""
        pairs, distances, kinds = self._moving_pairs(atoms)
        values, slopes = self._radial(distances)
        count, width = len(self._kinds), self.functions
        totals = np.zeros((count, width))
        np.add.at(totals, kinds, values)
        ways = (pairs.vectors / distances[:, None])[:, :, None] * slopes[:, None, :]
        forces = np.zeros((count, len(atoms), 3, width))
        np.add.at(forces, (kinds, pairs.first), ways)
        np.subtract.at(forces, (kinds, pairs.second), ways)
        by_component = forces.transpose(1, 2, 0, 3).reshape(len(atoms), 3, -1)
        return np.concatenate([totals.reshape(1, -1), by_component[self._free]])

    @cached_property
    def _free(self) -> Mask:
        return free_components(self.start)

    @cached_property
    def _kinds(self) -> list[tuple[int, int]]:
        """Pairs of atomic numbers of which one can move, smaller first."""
        moving = set(self.start.numbers[self._free.any(axis=1)].tolist())
        present = sorted(set(self.start.numbers.tolist()))
        pairs = combinations_with_replacement(present, 2)
        return [pair for pair in pairs if moving.intersection(pair)]

    def _moving_pairs(self, atoms: Atoms) -> tuple[Pairs, Array, NDArray[np.int64]]:
        """Pairs with an atom that moves, their distances in Å, and of which kind they are."""
        pairs = find_pairs(atoms, self.cutoff)
        moving: Mask = np.asarray(self._free.any(axis=1))
        kept = moving[pairs.first] | moving[pairs.second]
        pairs = Pairs(pairs.first[kept], pairs.second[kept], pairs.vectors[kept])
        numbers = np.sort(np.stack([atoms.numbers[pairs.first], atoms.numbers[pairs.second]]), 0)
        table = {kind: index for index, kind in enumerate(self._kinds)}
        kinds = np.array([table[one, other] for one, other in numbers.T.tolist()], dtype=np.int64)
        return pairs, np.linalg.norm(pairs.vectors, axis=1), kinds

    def _radial(self, distances: Array) -> tuple[Array, Array]:
        """Values of the functions and their derivatives in 1/Å, each of shape (m, functions)."""
        centres = np.linspace(SHORTEST, self.cutoff, self.functions, endpoint=False)
        width = centres[1] - centres[0]
        u = (distances[:, None] - centres) / width
        gaussians = np.exp(u * u / -2)
        angle = np.pi * distances[:, None] / self.cutoff
        fade, fading = (1 + np.cos(angle)) / 2, np.sin(angle) * np.pi / (-2 * self.cutoff)
        return gaussians * fade, gaussians * (fading - u * fade / width)
