"""SevenNet cut in two: what enters its head, how that varies with the positions, what leaves it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
from sevenn import _keys as key
from sevenn.atom_graph_data import AtomGraphData
from sevenn.nn.sequential import AtomGraphSequential
from torch import Tensor

from finetuna_flows.errors import SurrogateError
from finetuna_flows.geometry import Mask
from finetuna_flows.records import Features
from finetuna_flows.surrogates.headed import expect
from finetuna_flows.surrogates.linear_pull import LinearPull
from finetuna_flows.surrogates.slopes import slopes, to_features

HEAD = ("reduce_input_to_hidden", "reduce_hidden_to_energy")
"""Modules: from an atom's scalars to fewer of them, and to its energy before any scale."""


@dataclass(frozen=True)
class BackbonePass:
    """One geometry below the head, to be passed backwards once for each head.

    The head is linear but for constants, and each element has a scale and a shift for what it
    says. So it need not see the atoms one by one: with c the sum of their scales, the energy is
    ``head(total) + (c - 1) head(0) + offset``.
    """

    total: Tensor
    """Scalars of the atoms, each times its element's scale, summed; shape (p,)."""
    displacement: Tensor
    """Å, shape (n, 3): of the atoms, zero; what the total is differentiable in."""
    scale: Tensor
    """eV, shape (): sum of the elements' scales."""
    offset: Tensor
    """eV, shape (): sum of the elements' shifts, which no head sees."""
    level: dict[str, Tensor]
    """What else the head is told: the level of theory, where there are several."""


@dataclass(frozen=True)
class HeadInput:
    """What the network below the head makes of one geometry.

    The slopes take 512 bytes for each free component where an atom has 128 scalars.
    """

    passed: BackbonePass
    """With nothing to pass backwards through."""
    slopes: Tensor
    """Derivatives of the total by the free components in 1/Å, shape (d, p)."""
    free: Tensor
    """Whether a component is free, shape (n, 3)."""


class SevenNetHead:
    """The two linear maps that turn the scalars of atoms into their energies.

    Parameters
    ----------
    network
        Whose head it is; weights are shared, not copied.

    Raises
    ------
    SurrogateError
        If another readout is in the place of the two maps.
    """

    def __init__(self, network: AtomGraphSequential) -> None:
        modules = dict(network.named_children())
        if not modules.keys() >= set(HEAD):
            raise SurrogateError(
                f"these weights have no {' and '.join(HEAD)}: nothing can be kept of what enters "
                "another readout; give the GradientSpec `cached=False` and a `head`"
            )
        names = list(modules)
        self._backbone = AtomGraphSequential(
            OrderedDict((name, modules[name]) for name in names[: names.index(HEAD[0])]),
            network.cutoff,
            network.type_map,
            network.modal_map,
            eval_modal_map=network.eval_modal_map,
        )
        self._backbone.set_is_batch_data(False)
        self._first = modules[HEAD[0]]
        self._last = network.get_submodule(f"{HEAD[1]}.linear")
        self._rescale, self._sum = modules["rescale_atomic_energy"], modules["reduce_total_enegy"]

    def cache(self, graph: AtomGraphData, free: Mask) -> HeadInput:
        """Pass the rest of the network once, and backwards once more for each free component.

        Where these are more than the scalars, once for each scalar.
        """
        passed = self.pass_backbone(graph)
        return HeadInput(
            passed=replace(passed, total=passed.total.detach()),
            slopes=slopes(passed.total, passed.displacement, free),
            free=torch.as_tensor(free, device=passed.total.device),
        )

    def pass_backbone(self, graph: AtomGraphData) -> BackbonePass:
        """Pass the rest of the network once, and keep what a pass backwards needs."""
        data, displacement = self._read(graph)
        scalars = data[key.NODE_FEATURE]
        nothing = scalars.new_zeros((len(scalars), 1), requires_grad=True)
        data[key.SCALED_ATOMIC_ENERGY] = nothing
        offset = self._sum(self._rescale(data))[key.PRED_TOTAL_ENERGY]
        (scales,) = torch.autograd.grad(offset, nothing)
        return BackbonePass(
            total=(scales * scalars).sum(dim=0),
            displacement=displacement,
            scale=scales.sum(),
            offset=offset.detach(),
            level={name: data[name] for name in (key.MODAL_ATTR,) if name in data},
        )

    def predict(self, passed: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, by one pass backwards."""
        passed = expect(passed, BackbonePass, "pass_backbone")
        energy, pull = self._pull(passed)
        (slope,) = torch.autograd.grad(passed.total, passed.displacement, pull, retain_graph=True)
        return energy, -slope

    def evaluate(self, given: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the head's weights."""
        given = expect(given, HeadInput, "cache")
        energy, pull = self._pull(given.passed)
        forces = pull.new_zeros(given.free.shape)
        return energy, forces.masked_scatter(given.free, -(given.slopes @ pull))

    def features(self, graph: AtomGraphData, free: Mask) -> Features:
        """What enters the head, summed over the atoms."""
        data, displacement = self._read(graph)
        return to_features(data[key.NODE_FEATURE].sum(dim=0), displacement, free)

    def last_layer_inputs(self, graph: AtomGraphData, free: Mask) -> Features:
        """Derivatives of the energy by the weights of the last map, in which it is linear.

        So they hold what the map divides by, the root of how many it weighs, and the elements'
        scales.
        """
        passed = self.pass_backbone(graph)
        weight = self._last.get_parameter("weight").detach().requires_grad_()
        energy = self._energy(passed, passed.total, weight)
        (inputs,) = torch.autograd.grad(energy, weight, create_graph=True)
        return to_features(inputs, passed.displacement, free)

    def _read(self, graph: AtomGraphData) -> tuple[AtomGraphData, Tensor]:
        """The graph with the scalars of its atoms, and the displacement that these depend on."""
        data = graph.clone()
        displacement = torch.zeros_like(data[key.POS], requires_grad=True)
        source, target = data[key.EDGE_IDX]
        data[key.EDGE_VEC] = data[key.EDGE_VEC] + displacement[target] - displacement[source]
        with LinearPull():
            return self._backbone(data), displacement

    def _pull(self, passed: BackbonePass) -> tuple[Tensor, Tensor]:
        """Energy () in eV and its derivatives by the total (p,), differentiable in the weights."""
        total = passed.total.detach().requires_grad_()
        energy = self._energy(passed, total)
        (pull,) = torch.autograd.grad(energy, total, create_graph=True)
        return energy, pull

    def _energy(self, passed: BackbonePass, total: Tensor, last: Tensor | None = None) -> Tensor:
        """Energy () in eV, where need be with other weights of the last map."""
        rows = torch.stack([total, torch.zeros_like(total)])
        hidden = self._first({key.NODE_FEATURE: rows, **passed.level})[key.NODE_FEATURE]
        of_total, of_zeros = self._last(hidden, last).flatten()
        energy: Tensor = of_total + (passed.scale - 1) * of_zeros + passed.offset
        return energy
