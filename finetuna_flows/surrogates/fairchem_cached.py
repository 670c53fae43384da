"""fairchem's eSEN and UMA networks taken apart: features of the atoms, and heads on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from fairchem.core.datasets.atomic_data import AtomicData
from fairchem.core.models.base import HydraModel
from fairchem.core.models.uma.escn_md import (
    Linear_Energy_Head,
    Linear_Force_Head,
    MLP_EFS_Head,
    MLP_Stress_Head,
    eSCNMDBackbone,
)
from fairchem.core.models.uma.escn_moe import (
    DatasetSpecificMoEWrapper,
    DatasetSpecificSingleHeadWrapper,
)
from torch import Tensor
from torch.autograd import Function

from finetuna_flows.geometry import Mask
from finetuna_flows.records import Features, Prediction
from finetuna_flows.surrogates.backbone import same_below_head
from finetuna_flows.surrogates.fairchem import FairchemSurrogate, same_rotations
from finetuna_flows.surrogates.fairchem_loader import load_network
from finetuna_flows.surrogates.headed import expect, to_prediction
from finetuna_flows.surrogates.slopes import slopes, to_features

_HEADS = (MLP_EFS_Head, Linear_Energy_Head, Linear_Force_Head, MLP_Stress_Head)
"""Those that see nothing of a structure but its features (MLP_Energy_Head is an MLP_EFS_Head)."""
_WRAPPERS = (DatasetSpecificMoEWrapper, DatasetSpecificSingleHeadWrapper)


@dataclass(frozen=True)
class HeadInput:
    """What the heads get at a geometry of n atoms, k of whose components are free."""

    data: AtomicData
    """The structure, as the backbone leaves it."""
    embedding: Tensor
    """Shape (n, (lmax + 1)², p): p features of each degree and order; the first is the scalar."""
    free: Tensor
    """Indices of the free components' atoms and directions, shape (k, 2)."""
    jacobian: Tensor | None
    """1/Å, shape (k, n p), of the scalar ones; None where the forces have a head of their own."""


@dataclass(frozen=True)
class BackbonePass:
    """What the backbone makes of one geometry, to be passed backwards once for each head."""

    data: AtomicData
    """The structure, as the backbone leaves it."""
    embedding: Tensor
    """Shape (n, (lmax + 1)², p), differentiable in the positions where forces are gradients."""


class CacheableFairchemSurrogate(FairchemSurrogate):
    """A network whose features can be kept while its heads are trained."""

    def cache(self, prepared: object, free: Mask) -> HeadInput:
        """Features of the atoms and, where forces are gradients, their slopes along `free`.

        It takes one pass for each free component.
        """
        data, embedding = self._backbone(prepared, slopes=self.conservative)
        indices = torch.as_tensor(np.argwhere(free), device=self._device)
        scalars = embedding[:, 0].flatten()
        jacobian = slopes(scalars, data.pos, free) if self.conservative else None
        data.pos = data.pos.detach()
        return HeadInput(data, embedding.detach(), indices, jacobian)

    def evaluate_head(self, cached: object) -> tuple[Tensor, Tensor]:
        """As `evaluate`; forces that are gradients are zero where they were not kept.

        The heads see features that are linear in the positions, with the value and the slope
        that the network has there, so that energy and forces are exact and so are their
        derivatives by the heads' weights.
        """
        cached = expect(cached, HeadInput, "cache")
        data, embedding = cached.data.clone(), cached.embedding
        if cached.jacobian is not None:
            data.pos = cached.data.pos.clone().requires_grad_()
            way = (data.pos - cached.data.pos)[cached.free[:, 0], cached.free[:, 1]]
            scalars = embedding[:, 0] + (way @ cached.jacobian).view_as(embedding[:, 0])
            embedding = torch.cat([scalars[:, None], embedding[:, 1:]], dim=1)
        return self._ask_heads(data, _as_features(data, embedding))

    def shares_backbone(self, other: object) -> bool:
        """Whether `other` has the same network below its heads, and means the same task."""
        return (
            isinstance(other, CacheableFairchemSurrogate)
            and self._settings == other._settings
            and same_below_head(self, other)
        )

    def pass_backbone(self, atoms: Atoms) -> BackbonePass:
        """Pass a geometry through the backbone.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry.
        """
        return BackbonePass(*self._backbone(self.prepare(atoms), slopes=self.conservative))

    def predict_head(self, passed: object) -> Prediction:
        """As `predict`, from what `pass_backbone` made."""
        passed = expect(passed, BackbonePass, "pass_backbone")
        data, embedding = passed.data.clone(), passed.embedding
        if self.conservative:
            data.pos = passed.data.pos.detach().requires_grad_()
            embedding = _recall(data.pos, passed)
        return to_prediction(*self._ask_heads(data, _as_features(data, embedding)))

    def features(self, atoms: Atoms, free: Mask) -> Features:
        """Scalar features summed over the atoms, and their derivatives along `free`."""
        data, embedding = self._backbone(self.prepare(atoms), slopes=True)
        return to_features(embedding[:, 0].sum(dim=0), data.pos, free)

    @property
    def _settings(self) -> dict[str, object]:
        """All but weights that decides what the backbone makes of a geometry."""
        simple = (bool, int, float, str)
        own = {k: v for k, v in vars(self._network.backbone).items() if isinstance(v, simple)}
        return {**own, **self._info, "task": self._task, "conservative": self.conservative}

    def _backbone(self, prepared: object, *, slopes: bool) -> tuple[AtomicData, Tensor]:
        """The structure after the pass and the features, which depend on its positions if asked."""
        data = self._data(prepared)
        data.pos.requires_grad_(slopes)
        with same_rotations(), torch.set_grad_enabled(slopes):
            embedding: Tensor = self._network.backbone(data)["node_embedding"]
        return data, embedding


def build_fairchem(
    model: str, task: str, *, charge: int, spin: int, trust_checkpoint: bool
) -> FairchemSurrogate:
    """Load a network and make of it the surrogate that can do the most with it."""
    network = load_network(model, trust_checkpoint=trust_checkpoint)
    kind = CacheableFairchemSurrogate if _comes_apart(network) else FairchemSurrogate
    return kind(network, task, charge=charge, spin=spin)


def _comes_apart(network: HydraModel) -> bool:
    heads = [
        head.head if isinstance(head, _WRAPPERS) else head for head in network.output_heads.values()
    ]
    return isinstance(network.backbone, eSCNMDBackbone) and all(
        isinstance(head, _HEADS) for head in heads
    )


def _as_features(data: AtomicData, embedding: Tensor) -> dict[str, Tensor]:
    """What the backbone hands to the heads."""
    return {"node_embedding": embedding, "batch": data.batch}


class _Recall(Function):
    """The features of a pass that was made, which it is passed backwards through once more.

    A head takes the gradient by the positions itself and then lets go of what it went through.
    """

    @staticmethod
    def forward(ctx: Any, _: Tensor, passed: BackbonePass) -> Tensor:
        ctx.passed = passed
        return passed.embedding.detach().clone()

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor, None]:
        made = ctx.passed
        (slope,) = torch.autograd.grad(made.embedding, made.data.pos, pulls[0], retain_graph=True)
        return slope, None


def _recall(positions: Tensor, passed: BackbonePass) -> Tensor:
    embedding: Tensor = _Recall.apply(positions, passed)  # type: ignore[no-untyped-call]  # torch states no types
    return embedding
