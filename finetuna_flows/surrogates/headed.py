"""What surrogates have in common whose network is cut into a backbone and a head."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

import numpy as np
from ase import Atoms
from torch import Tensor, nn
from torch.nn import Parameter

from finetuna_flows.geometry import Mask
from finetuna_flows.records import Features, Prediction

logger = logging.getLogger(__name__)

Kind = TypeVar("Kind")
Graph = TypeVar("Graph")
GraphIn = TypeVar("GraphIn", contravariant=True)


class NetworkHead(Protocol[GraphIn]):
    """The head of a network, and ways to pass a geometry through what is below it."""

    def cache(self, graph: GraphIn, free: Mask) -> object:
        """What enters the head, with its derivatives by the free components."""
        ...

    def evaluate(self, given: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å from what `cache` made."""
        ...

    def pass_backbone(self, graph: GraphIn) -> object:
        """What enters the head, to be passed backwards once for each head."""
        ...

    def predict(self, passed: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å from what `pass_backbone` made."""
        ...

    def features(self, graph: GraphIn, free: Mask) -> Features:
        """What enters the head, summed over the atoms."""
        ...

    def last_layer_inputs(self, graph: GraphIn, free: Mask) -> Features:
        """What enters the last layer of the head, summed over the atoms."""
        ...


class HeadedSurrogate(ABC, Generic[Graph]):
    """A network with its head apart: can be cached, shared and described.

    Subclasses make graphs and evaluate them, and say what the head is.
    """

    _network: nn.Module
    _graph: type[Graph]
    """What `prepare` makes."""
    _has_told_isolated = False

    @property
    @abstractmethod
    def _head(self) -> NetworkHead[Graph]:
        """Apart from what is below it."""

    @abstractmethod
    def prepare(self, atoms: Atoms) -> Graph:
        """Make the graph of a geometry."""

    @abstractmethod
    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""

    def tell_isolated(self, atoms: Atoms, centres: Iterable[int], cutoff: float) -> None:
        """Warn, once for each surrogate, of atoms of which the network sees no neighbour.

        Parameters
        ----------
        atoms
            The geometry.
        centres
            Indices of the atoms that have neighbours.
        cutoff
            Å; how far the network looks.
        """
        isolated = sorted(set(range(len(atoms))) - set(centres))
        if isolated and not self._has_told_isolated:
            self._has_told_isolated = True
            first = isolated[0]
            logger.warning(
                "%d atoms of %s, the first atom %d (%s), lie beyond %g Å from all others: %s gives "
                "them a constant energy and no force, so nothing it says of them is a prediction",
                len(isolated),
                atoms.symbols,
                first,
                atoms.symbols[first],
                cutoff,
                type(self).__name__.removesuffix("Surrogate"),
            )

    def named_parameters(self) -> Iterable[tuple[str, Parameter]]:
        """All weights with their names."""
        return self._network.named_parameters()

    def cache(self, prepared: object, free: Mask) -> object:
        """What enters the head at a geometry, and its derivatives by the free components.

        It takes one pass backwards for each free component, or one for each value that enters the
        head where these are fewer.
        """
        return self._head.cache(expect(prepared, self._graph, "prepare"), free)

    def evaluate_head(self, cached: object) -> tuple[Tensor, Tensor]:
        """As `evaluate`, from what `cache` kept; zero forces where they were not."""
        return self._head.evaluate(cached)

    def pass_backbone(self, atoms: Atoms) -> object:
        """Pass a geometry through all below the head.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry.
        """
        return self._head.pass_backbone(self.prepare(atoms))

    def predict_head(self, passed: object) -> Prediction:
        """As `predict`, from what `pass_backbone` made."""
        return to_prediction(*self._head.predict(passed))

    def features(self, atoms: Atoms, free: Mask) -> Features:
        """Sum over the atoms of the numbers that enter the head.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry.
        """
        return self._head.features(self.prepare(atoms), free)

    def last_layer_inputs(self, atoms: Atoms, free: Mask) -> Features:
        """Sum over the atoms of what enters the last layer, as the energy weighs it.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry.
        """
        return self._head.last_layer_inputs(self.prepare(atoms), free)

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry.
        """
        return to_prediction(*self.evaluate(self.prepare(atoms)))


def expect(given: object, kind: type[Kind], maker: str) -> Kind:
    """Hand back what is of the right kind.

    Raises
    ------
    TypeError
        If it is of another, naming the method that makes the right one.
    """
    if not isinstance(given, kind):
        raise TypeError(f"got a {type(given).__name__} but needs what `{maker}` returns")
    return given


def to_prediction(energy: Tensor, forces: Tensor) -> Prediction:
    """Take a network's answer out of torch."""
    return Prediction(energy.item(), forces.detach().cpu().numpy().astype(np.float64))
