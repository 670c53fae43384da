"""Ask where the surrogate believes that the relaxation is over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ase import Atoms
from monty.json import MSONable

from finetuna_flows.geometry import fmax
from finetuna_flows.history import History
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Prediction


@dataclass(frozen=True)
class RelaxedOnly(MSONable):
    """Ask when the predicted forces are below the threshold: the parent verifies the minimum.

    All parent calls of the trajectories published with the FINETUNA paper have this reason.
    """

    fmax: float = 0.03
    """eV/Å, over the free components. The paper's convergence threshold."""

    def __post_init__(self) -> None:
        if not 0 < self.fmax < math.inf:
            raise ValueError(f"`fmax` is {self.fmax} but must be a positive number of eV/Å")

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Compare the largest predicted free force with the threshold."""
        relaxed = fmax(prediction.forces, past.free) <= self.fmax
        return Decision((QueryReason.RELAXED,) if relaxed else ())
