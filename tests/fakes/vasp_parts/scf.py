"""How many electronic cycles a step takes, and what they print.

From overlapping atoms, energies are 50 eV per atom off; from the wave function of another geometry
by a power of the largest displacement. Every cycle leaves the same fraction of what the one before
it left, so the number of cycles grows with the logarithm of either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .structure import Structure

COLD = 50.0
"""eV per atom."""
WARM = 8.0
"""eV after a displacement of 1 Å."""
POWER = 1.5
SHRINK = 0.307
LEAST_WARM = 3
"""Cycles."""


@dataclass(frozen=True)
class Cycle:
    """One electronic cycle."""

    number: int
    error: float
    """eV above the converged energy."""
    change: float
    """eV since the cycle before, within the model."""


def starting_error(structure: Structure, known: Structure | None) -> float:
    """eV; from the geometry of the wave function at hand, if there is one."""
    cold = COLD * len(structure)
    if known is None:
        return cold
    moved = structure.positions - known.positions
    moved -= np.round(moved)
    distance = float(np.linalg.norm(moved @ structure.cell, axis=1).max())
    strain = float(np.abs(structure.cell - known.cell).max())
    return min(cold, WARM * math.pow(max(distance, strain), POWER))


def cycles(error: float, *, ediff: float, nelm: int, least: int, stuck: bool) -> list[Cycle]:
    """The cycles of one step, to convergence or to `nelm` of them; `stuck` ones never converge."""
    if stuck:
        sway = 5 * ediff
        return [Cycle(n, sway * (-1) ** n, 2 * sway * (-1) ** n) for n in range(1, nelm + 1)]
    count = least
    while error * SHRINK ** (count - 1) >= ediff:
        count += 1
    changes = [error * SHRINK ** (n - 1) for n in range(1, count + 1)]
    left = [sum(changes[n:]) for n in range(1, count + 1)]
    pairs = zip(left, changes, strict=True)
    return [Cycle(n, left, -change) for n, (left, change) in enumerate(pairs, 1)][:nelm]
