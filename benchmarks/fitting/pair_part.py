"""The part of a fitted parent that is linear in what is fitted: Gaussians between elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.fitted_parent import (
    Array,
    FittedParent,
    Indices,
    cut_off,
    element_pairs,
    gaussian_basis,
    repulsion,
)
from benchmarks.fitting.frames import Labels

GAUSSIANS = 14
CUTOFF = 6.0
"""Å."""
ENERGY_MISFIT, FORCE_MISFIT = 0.1, 0.1
"""eV, eV/Å; how far pairs alone are expected to be off."""
PRIOR = 1.0
"""eV; how large a Gaussian's height is expected to be."""


@dataclass(frozen=True)
class PairRows:
    """Energy and forces of each label as a linear function of the heights: P heights."""

    design: Array
    """Energy, then forces on the free atoms, of each Gaussian, shape (M, 1 + D, P)."""
    fixed_part: Array
    """The same of the repulsion, shape (M, 1 + D)."""
    target: Array
    """Energies and forces of the labels, shape (M, 1 + D)."""

    def fit(self, chosen: Indices) -> tuple[Array, float]:
        """Ridge regression on the `chosen` labels: heights (P,) and the energy's offset in eV."""
        missing = (self.target - self.fixed_part)[chosen]
        middle = missing[:, 0].mean()
        missing[:, 0] -= middle
        size = missing.shape[1]
        precision = np.r_[1 / ENERGY_MISFIT, np.full(size - 1, 1 / FORCE_MISFIT)]
        count = self.design.shape[2]
        normal, right = np.diag(np.r_[np.full(count, 1 / PRIOR**2), 0.0]), np.zeros(count + 1)
        for rows, y in zip(self.design[chosen], missing, strict=True):
            held = np.column_stack([rows, np.eye(size)[0]]) * precision[:, None]
            normal += held.T @ held
            right += held.T @ (y * precision)
        solution = np.linalg.solve(normal, right)
        return solution[:-1], float(solution[-1] + middle)

    def misfit(self, heights: Array, offset: float) -> Array:
        """Labels minus the pair part, shape (M, 1 + D)."""
        rest: Array = self.target - self.fixed_part - self.design @ heights
        rest[:, 0] -= offset
        return rest


def pair_rows(labels: Labels, empty: FittedParent) -> PairRows:
    """Evaluate repulsion and Gaussians at each label.

    Parameters
    ----------
    empty
        A parent of the system whose pairs are searched.
    """
    kinds = int(element_pairs(empty.numbers).max()) + 1
    found = [_rows(empty, x, kinds) for x in labels.x]
    return PairRows(
        design=np.array([design for design, _ in found]),
        fixed_part=np.array([fixed for _, fixed in found]),
        target=np.column_stack([labels.energies, labels.forces]),
    )


def empty_parent(labels: Labels) -> dict[str, object]:
    """Fields of a parent of the system to which nothing is fitted yet."""
    start = labels.start
    kinds = int(element_pairs(start.numbers).max()) + 1
    return {
        "format": "fitted_parent_1",
        "system": labels.sid,
        "numbers": start.numbers,
        "positions": start.positions,
        "cell": start.cell.array,
        "tags": start.get_tags(),
        "free": labels.free,
        "pair_coefficients": np.zeros((kinds, GAUSSIANS)),
        "pair_offset": 0.0,
        "pair_cutoff": CUTOFF,
        "frames": labels.x,
        "frame_energies": labels.energies,
        "frame_sources": labels.sources,
    }


def live(data: Mapping[str, object]) -> FittedParent:
    """Make a parent of fields, those of the Gaussian process left out where there is none yet."""
    size = np.asarray(data["frames"]).shape[1]
    none = {
        "kernel": "rq",
        "length": 1.0,
        "gp_offset": 0.0,
        "train_index": np.zeros(0, dtype=np.int64),
        "energy_weights": np.zeros(0),
        "force_weights": np.zeros((0, size)),
        "meta": "{}",
    }
    return FittedParent({**none, **data})


def _rows(parent: FittedParent, x: Array, kinds: int) -> tuple[Array, Array]:
    pairs = parent.pairs(x)
    r, count = pairs.distances, parent.pair_coefficients.shape[1]
    values, slopes = cut_off(
        r[:, None], *gaussian_basis(r, count, parent.pair_cutoff), parent.pair_cutoff
    )
    energies = np.zeros((kinds, count))
    np.add.at(energies, pairs.kind, pairs.share[:, None] * values)
    units = pairs.vectors / r[:, None]
    forces = np.zeros((len(parent.free), kinds, 3, count))
    np.add.at(forces, (pairs.atom, pairs.kind), units[:, :, None] * slopes[:, None, :])
    design = np.vstack([energies.reshape(1, -1), _flat(forces)])
    value, slope = cut_off(r, *repulsion(pairs), parent.pair_cutoff)
    push = np.zeros((len(parent.free), 3))
    np.add.at(push, pairs.atom, slope[:, None] * units)
    return design, np.r_[pairs.share @ value, push.ravel()]


def _flat(forces: Array) -> Array:
    """From (f, kinds, 3, count) to (D, P)."""
    f, kinds, _, count = forces.shape
    return forces.transpose(0, 2, 1, 3).reshape(3 * f, kinds * count)
