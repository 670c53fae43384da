"""A surrogate small enough to read, train and throw away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor, nn
from torch.nn import Parameter

from finetuna_flows.records import Prediction
from finetuna_flows.surrogates.device import limit_threads
from finetuna_flows.surrogates.pairs import find_pairs
from finetuna_flows.surrogates.repulsion import envelope, zbl_energy

N_ELEMENTS = len(chemical_symbols)
N_RADIAL = 12
N_FEATURES = 128


@dataclass(frozen=True)
class ToyInput:
    """Atomic numbers (n,), pairs (m,) as indices, and the vectors between them, Å, (m, 3)."""

    numbers: Tensor
    first: Tensor
    second: Tensor
    vectors: Tensor


class PairModel(nn.Module):
    """Random features of a pair, and a linear head that turns them into its energy.

    The bias of the head is the energy of an atom alone.
    """

    def __init__(self, rng: np.random.Generator, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.backbone = nn.ParameterDict(
            {
                "elements": _draw(rng, N_ELEMENTS, N_FEATURES, scale=1.0),
                "radial": _draw(rng, N_RADIAL, N_FEATURES, scale=1.0),
            }
        )
        self.head = nn.ParameterDict(
            {
                "weight": _draw(rng, N_FEATURES, scale=0.01),
                "bias": Parameter(torch.zeros((), dtype=torch.float64)),
            }
        )

    def forward(self, distances: Tensor, first: Tensor, second: Tensor, n_atoms: int) -> Tensor:
        """Energy in eV, shape (), of pairs at `distances` between two kinds of atoms."""
        centers = torch.linspace(0.5, self.cutoff, N_RADIAL, dtype=torch.float64)
        width = centers[1] - centers[0]
        radial = torch.exp(-0.5 * ((distances[:, None] - centers) / width) ** 2)
        elements = self.backbone["elements"]
        kinds = torch.sin(elements[first] + elements[second])
        features = torch.tanh(radial @ self.backbone["radial"]) * kinds
        energies = features @ self.head["weight"] * envelope(distances / self.cutoff)
        energy: Tensor = energies.sum() + n_atoms * self.head["bias"]
        return energy


class ToySurrogate:
    """Nuclear repulsion and a trainable pair potential with random weights, in double precision.

    It knows nothing before it is trained, but atoms cannot fall into each other. It takes any
    element, with or without periodicity, and conserves energy. It runs on the CPU.

    Parameters
    ----------
    seed
        Of the random weights.
    cutoff
        Å; pairs farther apart do not interact.
    """

    def __init__(self, *, seed: int = 0, cutoff: float = 5.0) -> None:
        limit_threads()
        self._cutoff = cutoff
        self._model = PairModel(np.random.default_rng(seed), cutoff).requires_grad_(False)

    @property
    def elements(self) -> frozenset[str]:
        """All of them."""
        return frozenset(chemical_symbols[1:])

    @property
    def head(self) -> tuple[str, ...]:
        """The linear layer; the features stay random."""
        return ("head.*",)

    def named_parameters(self) -> Iterable[tuple[str, Parameter]]:
        """All weights with their names."""
        return self._model.named_parameters()

    def prepare(self, atoms: Atoms) -> ToyInput:
        """Search the pairs."""
        pairs = find_pairs(atoms, self._cutoff)
        return ToyInput(
            numbers=torch.as_tensor(atoms.get_atomic_numbers(), dtype=torch.long),
            first=torch.as_tensor(pairs.first),
            second=torch.as_tensor(pairs.second),
            vectors=torch.as_tensor(pairs.vectors),
        )

    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""
        if not isinstance(prepared, ToyInput):
            raise TypeError(f"got a {type(prepared).__name__} but needs what `prepare` returns")
        distances = prepared.vectors.norm(dim=1).requires_grad_()
        kinds = prepared.numbers[prepared.first], prepared.numbers[prepared.second]
        learned = self._model(distances, *kinds, len(prepared.numbers))
        energy = zbl_energy(distances, *kinds).sum() + learned
        trained = any(weight.requires_grad for weight in self._model.parameters())
        (slopes,) = torch.autograd.grad(energy, distances, create_graph=trained)
        pulls = (slopes / distances)[:, None] * prepared.vectors
        forces = torch.zeros(len(prepared.numbers), 3, dtype=torch.float64)
        forces = forces.index_add(0, prepared.first, pulls)
        return energy, forces.index_add(0, prepared.second, -pulls)

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If two atoms are at the same place.
        """
        energy, forces = self.evaluate(self.prepare(atoms))
        return Prediction(energy.item(), forces.detach().numpy())


def _draw(rng: np.random.Generator, *shape: int, scale: float) -> Parameter:
    return Parameter(torch.as_tensor(rng.normal(scale=scale, size=shape)))
