"""Nothing but the repulsion of nuclei: a prior for any element, without a network."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms

from finetuna_flows.pairs import find_pairs
from finetuna_flows.records import Prediction
from finetuna_flows.surrogates.device import limit_threads
from finetuna_flows.surrogates.repulsion import zbl_energy

REACH = 5.5
"""Å; farther than the sum of any two covalent radii."""


class NuclearSurrogate:
    """The screened repulsion of `repulsion.zbl_energy` between all atoms."""

    def __init__(self) -> None:
        limit_threads()

    @property
    def elements(self) -> None:
        """Every element has a nucleus."""
        return

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If two atoms are at the same place.
        """
        pairs = find_pairs(atoms, REACH)
        distances = torch.tensor(np.linalg.norm(pairs.vectors, axis=1)).requires_grad_()
        numbers = torch.tensor(atoms.numbers)
        energy = zbl_energy(distances, numbers[pairs.first], numbers[pairs.second]).sum()
        (slopes,) = torch.autograd.grad(energy, distances)
        ways = (slopes / distances.detach()).numpy()[:, None] * pairs.vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, pairs.first, ways)
        np.subtract.at(forces, pairs.second, ways)
        return Prediction(energy.item(), forces)
