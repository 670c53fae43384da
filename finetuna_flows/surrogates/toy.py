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

from finetuna_flows.geometry import Mask
from finetuna_flows.pairs import find_pairs
from finetuna_flows.records import Features, Prediction
from finetuna_flows.surrogates.backbone import same_below_head
from finetuna_flows.surrogates.device import limit_threads
from finetuna_flows.surrogates.headed import expect, to_prediction
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

    @property
    def kinds(self) -> tuple[Tensor, Tensor]:
        """Atomic numbers of the two atoms of each pair, shape (m,)."""
        return self.numbers[self.first], self.numbers[self.second]

    def to_atoms(self, slopes: Tensor) -> Tensor:
        """Derivatives (m, k) by the distances, turned into those by positions, (n, 3, k)."""
        pulls = (self.vectors / self.vectors.norm(dim=1, keepdim=True))[:, :, None] * slopes[
            :, None
        ]
        atoms = torch.zeros((len(self.numbers), *pulls.shape[1:]), dtype=pulls.dtype)
        return atoms.index_add(0, self.second, pulls).index_add(0, self.first, -pulls)


@dataclass(frozen=True)
class ToyHeadInput:
    """Features of all pairs together (128,), their slopes (128, 3 n) by free components, 1/Å.

    Beside them what no weight changes: energy (), eV, and free forces (3 n,), eV/Å.
    """

    features: Tensor
    slopes: Tensor
    energy: Tensor
    forces: Tensor


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

    def features(self, distances: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """What enters the head, shape (m, 128), of pairs at `distances` between two kinds."""
        centers = torch.linspace(0.5, self.cutoff, N_RADIAL, dtype=torch.float64)
        width = centers[1] - centers[0]
        radial = torch.exp(-0.5 * ((distances[:, None] - centers) / width) ** 2)
        elements = self.backbone["elements"]
        kinds = torch.sin(elements[first] + elements[second])
        features = torch.tanh(radial @ self.backbone["radial"]) * kinds
        return features * envelope(distances / self.cutoff)[:, None]

    def read_out(self, features: Tensor, n_atoms: int) -> Tensor:
        """Energy in eV, shape (), from the features of all pairs together, shape (128,)."""
        energy: Tensor = features @ self.head["weight"] + n_atoms * self.head["bias"]
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
        given = expect(prepared, ToyInput, "prepare")
        distances, kinds = given.vectors.norm(dim=1).requires_grad_(), given.kinds
        features = self._model.features(distances, *kinds).sum(dim=0)
        learned = self._model.read_out(features, len(given.numbers))
        energy = zbl_energy(distances, *kinds).sum() + learned
        trained = any(weight.requires_grad for weight in self._model.parameters())
        (slopes,) = torch.autograd.grad(energy, distances, create_graph=trained)
        return energy, -given.to_atoms(slopes[:, None])[:, :, 0]

    def cache(self, prepared: object, free: Mask) -> ToyHeadInput:
        """What enters the head at a geometry, and its derivatives by the free components."""
        given = expect(prepared, ToyInput, "prepare")
        n, places = len(given.numbers), torch.as_tensor(free)[:, :, None]
        distances = given.vectors.norm(dim=1).requires_grad_()
        energy = zbl_energy(distances, *given.kinds).sum()
        (repulsion,) = torch.autograd.grad(energy, distances)
        features = self._model.features(distances, *given.kinds)
        # a feature varies with its own distance alone, so one probe tells the slopes of all
        probe = torch.zeros_like(features, requires_grad=True)
        (pull,) = torch.autograd.grad(features, distances, probe, create_graph=True)
        (slopes,) = torch.autograd.grad(pull.sum(), probe)
        forces = -given.to_atoms(repulsion[:, None]) * places
        return ToyHeadInput(
            features=features.detach().sum(dim=0),
            slopes=(given.to_atoms(slopes) * places).reshape(3 * n, -1).T,
            energy=energy.detach(),
            forces=forces.reshape(3 * n),
        )

    def evaluate_head(self, cached: object) -> tuple[Tensor, Tensor]:
        """As `evaluate`, from what `cache` kept; zero forces where they were not."""
        cached = expect(cached, ToyHeadInput, "cache")
        learned = self._model.read_out(cached.features, len(cached.forces) // 3)
        forces = cached.forces - self._model.head["weight"] @ cached.slopes
        return cached.energy + learned, forces.view(-1, 3)

    def shares_backbone(self, other: object) -> bool:
        """Whether `other` has the same random features and cutoff."""
        return (
            isinstance(other, ToySurrogate)
            and self._cutoff == other._cutoff
            and same_below_head(self, other)
        )

    def pass_backbone(self, atoms: Atoms) -> ToyHeadInput:
        """What enters the head, and its derivatives by all components."""
        return self.cache(self.prepare(atoms), np.ones((len(atoms), 3), dtype=bool))

    def predict_head(self, passed: object) -> Prediction:
        """As `predict`, from what `pass_backbone` made."""
        passed = expect(passed, ToyHeadInput, "pass_backbone")
        return to_prediction(*self.evaluate_head(passed))

    def features(self, atoms: Atoms, free: Mask) -> Features:
        """Sum over the pairs of the 128 random features that the head weighs."""
        cached = self.cache(self.prepare(atoms), free)
        slopes = cached.slopes.numpy().reshape(-1, *free.shape)
        return Features(cached.features.numpy(), slopes)

    def last_layer_inputs(self, atoms: Atoms, free: Mask) -> Features:
        """The same: the head is one layer."""
        return self.features(atoms, free)

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If two atoms are at the same place.
        """
        return to_prediction(*self.evaluate(self.prepare(atoms)))


def _draw(rng: np.random.Generator, *shape: int, scale: float) -> Parameter:
    return Parameter(torch.as_tensor(rng.normal(scale=scale, size=shape)))
