"""CHGNet cut in two: what enters its head, how that varies with the positions, what leaves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from chgnet.graph.crystalgraph import CrystalGraph
from chgnet.model.model import CHGNet
from torch import Tensor, nn

from finetuna_flows.geometry import Mask
from finetuna_flows.records import Features
from finetuna_flows.surrogates.headed import expect
from finetuna_flows.surrogates.linear_pull import LinearPull
from finetuna_flows.surrogates.slopes import slopes, to_features


@dataclass(frozen=True)
class HeadInput:
    """What the network below the head makes of one geometry.

    The slopes take 256 n d bytes for n atoms with d free components: 1.2 MB for 60 atoms with
    26 of them free, 140 MB for 300 atoms with 600 free components.
    """

    features: Tensor
    """Of each atom, shape (n, 64)."""
    slopes: Tensor
    """Derivatives of all of them by the free components in 1/Å, shape (d, 64 n)."""
    free: Tensor
    """Places of the free components among all 3 n, shape (d,)."""
    offset: Tensor
    """eV, shape (): energies of the elements, which no head sees."""


@dataclass(frozen=True)
class BackbonePass:
    """One geometry below the head, to be passed backwards once for each head."""

    features: Tensor
    """Of each atom, shape (n, 64), differentiable in the graph's coordinates."""
    graph: CrystalGraph
    offset: Tensor
    """eV, shape (): energies of the elements, which no head sees."""


class CHGNetHead:
    """The norm and the perceptron that turn the features of atoms into their energies.

    Parameters
    ----------
    network
        Whose head it is; weights are shared, not copied.
    """

    def __init__(self, network: CHGNet) -> None:
        *hidden, last = network.mlp.layers
        norm: list[nn.Module] = [] if network.readout_norm is None else [network.readout_norm]
        self._network = network
        self._first = (norm or hidden)[0]
        self._below_last = nn.Sequential(*norm, *hidden)
        self._last = last

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of the names of its parameters."""
        return ("mlp.*",) if self._network.readout_norm is None else ("mlp.*", "readout_norm.*")

    def cache(self, graph: CrystalGraph, free: Mask) -> HeadInput:
        """Pass the rest of the network once, and backwards once more for each free component."""
        features = self._read(graph)
        return HeadInput(
            features=features.detach(),
            slopes=slopes(
                features.flatten(), graph.atom_frac_coord, free, _to_cartesian(graph, features)
            ),
            free=torch.as_tensor(np.flatnonzero(free), device=features.device),
            offset=self._offset(graph),
        )

    def pass_backbone(self, graph: CrystalGraph) -> BackbonePass:
        """Pass the rest of the network once, and keep what a pass backwards needs."""
        return BackbonePass(self._read(graph), graph, self._offset(graph))

    def predict(self, passed: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, by one pass backwards.

        All heads in one batch of passes are slower on a CPU than one after the other.
        """
        passed = expect(passed, BackbonePass, "pass_backbone")
        features = passed.features.detach().requires_grad_()
        energy = self._last(self._below_last(features)).sum()
        (pull,) = torch.autograd.grad(energy, features)
        coordinates = passed.graph.atom_frac_coord
        (slope,) = torch.autograd.grad(passed.features, coordinates, pull, retain_graph=True)
        return energy.detach() + passed.offset, -(slope @ _to_cartesian(passed.graph, slope))

    def evaluate(self, given: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the head's weights.

        By the chain rule the forces are ``-slopes @ dE/dfeatures``, and the head is small.
        """
        given = expect(given, HeadInput, "cache")
        features = given.features.detach().requires_grad_()
        energy = self._last(self._below_last(features)).sum()
        (pull,) = torch.autograd.grad(energy, features, create_graph=True)
        forces = pull.new_zeros(3 * len(features))
        forces = forces.index_copy(0, given.free, -(given.slopes @ pull.flatten()))
        return energy + given.offset, forces.view(-1, 3)

    def features(self, graph: CrystalGraph, free: Mask) -> Features:
        """What enters the head, 64 numbers an atom, summed over the atoms."""
        values = self._read(graph).sum(dim=0)
        return to_features(values, graph.atom_frac_coord, free, _to_cartesian(graph, values))

    def last_layer_inputs(self, graph: CrystalGraph, free: Mask) -> Features:
        """What enters the last layer of the head, 64 numbers an atom, summed over the atoms."""
        values = self._below_last(self._read(graph)).sum(dim=0)
        return to_features(values, graph.atom_frac_coord, free, _to_cartesian(graph, values))

    def _offset(self, graph: CrystalGraph) -> Tensor:
        with torch.no_grad():
            offset: Tensor = self._network.composition_model([graph])[0] * len(graph.atomic_number)
        return offset

    def _read(self, graph: CrystalGraph) -> Tensor:
        """Features of the atoms, shape (n, 64), once differentiable in the positions."""
        entered: list[Tensor] = []

        def look(_: nn.Module, given: tuple[Tensor]) -> None:
            entered.append(given[0])

        hook = self._first.register_forward_pre_hook(look)
        try:
            with LinearPull():
                self._network([graph], task="e")
        finally:
            hook.remove()
        return entered[0]


def _to_cartesian(graph: CrystalGraph, like: Tensor) -> Tensor:
    """What turns derivatives by fractional coordinates into those by positions, 1/Å, (3, 3)."""
    inverse: Tensor = torch.linalg.inv(graph.lattice.double())
    return inverse.T.to(like)
