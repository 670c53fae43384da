"""How far a surrogate is from its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame


@dataclass(frozen=True)
class EnergyReference:
    """One geometry on two energy scales."""

    parent: float
    """eV."""
    surrogate: float
    """eV."""

    def to_surrogate(self, energy: float) -> float:
        """Put an energy of the parent (eV) onto the surrogate's scale."""
        return (energy - self.parent) + self.surrogate


@dataclass(frozen=True)
class Sample:
    """A label in the surrogate's own language."""

    prepared: object
    """What the surrogate evaluates, or evaluates with its head alone."""
    energy: Tensor
    """eV, on the scale of the surrogate before training, shape ()."""
    forces: Tensor
    """eV/Å, shape (n, 3)."""
    free: Tensor
    """Which force components count, shape (n, 3)."""

    @classmethod
    def from_frame(
        cls,
        surrogate: TrainableSurrogate,
        frame: Frame,
        reference: EnergyReference,
        prepared: object | None = None,
    ) -> Sample:
        """Prepare the geometry, unless that was done, and move the label to scale and device."""
        weight = next(weight for _, weight in surrogate.named_parameters())
        return cls(
            prepared=surrogate.prepare(frame.atoms) if prepared is None else prepared,
            energy=torch.tensor(reference.to_surrogate(frame.label.force_energy)).to(weight),
            forces=torch.tensor(frame.label.forces).to(weight),
            free=torch.tensor(free_components(frame.atoms)).to(weight.device),
        )

    def loss(self, energy: Tensor, forces: Tensor, energy_weight: float) -> Tensor:
        """Mean length of the force errors in eV/Å, plus the weighted energy error per atom in eV.

        The length of each free atom's error counts, not its square: ``loss_force: l2mae`` in
        ``gemnet-dT.yml`` of ulissigroup/finetuna, with the energy left out there.

        Parameters
        ----------
        energy
            What the surrogate says, eV, shape ().
        forces
            The same, eV/Å, shape (n, 3).
        energy_weight
            1/Å; of the energy error.
        """
        errors = torch.where(self.free, forces - self.forces, 0.0)
        lengths = torch.linalg.vector_norm(errors, dim=1)[self.free.any(dim=1)]
        loss: Tensor = lengths.mean()
        if energy_weight:
            loss = loss + energy_weight * (energy - self.energy).abs() / len(self.free)
        return loss


def force_rmse(surrogate: Surrogate, frames: Sequence[Frame]) -> float:
    """Root mean square error of the free force components in eV/Å."""
    errors = [
        (surrogate.predict(frame.atoms).forces - frame.label.forces)[free_components(frame.atoms)]
        for frame in frames
    ]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
