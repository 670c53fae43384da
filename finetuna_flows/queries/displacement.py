"""Ask where the structure has left the neighbourhood of the last label."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.geometry import largest_displacement
from finetuna_flows.history import History
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Prediction

ROUNDING = 1e-9
"""Å by which a way may fall short of the distance: an optimizer's longest steps add up to it, as
three of 0.2 Å to 0.6."""


@dataclass(frozen=True)
class Displacement(MSONable):
    """Ask when an atom has moved far from the label that the optimizer came from.

    That is the last label, or the best one where the run returns to it; before the first label,
    the start.
    """

    distance: float = 0.6
    """Å, by the minimum image. Calibrated by parent calls of the residual Gaussian process on six
    of the systems published with FINETUNA (their fitted potentials as parents, CHGNet as the
    prior), 2026-11: 0.45 to 0.8 differ little, 0.3 needs a quarter more calls."""

    def __post_init__(self) -> None:
        if not 0 < self.distance < math.inf:
            raise ValueError(f"`distance` is {self.distance} but must be a positive number of Å")

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Compare the farthest way of an atom with the distance."""
        known = past.origin.positions if past.origin else past.start.positions
        way = largest_displacement(known, atoms.positions, past.start)
        return Decision((QueryReason.DISPLACED,) if way >= self.distance - ROUNDING else ())
