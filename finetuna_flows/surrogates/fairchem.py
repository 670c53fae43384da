"""fairchem's networks (eSEN, UMA and their kin), evaluated on their live weights.

Fairchem's predict unit and calculator keep answers, freeze weights and reload files behind a
user's back; here they only load. What a task's normalizer and element references do to the
network's output is as they do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from fairchem.core.datasets.atomic_data import AtomicData
from fairchem.core.models.base import HydraModel
from fairchem.core.units.mlip_unit.mlip_unit import Task
from torch import Tensor
from torch.nn import Module, Parameter

from finetuna_flows.errors import SurrogateError
from finetuna_flows.records import Prediction
from finetuna_flows.surrogates.device import limit_threads, torch_device
from finetuna_flows.surrogates.headed import expect, to_prediction


class FairchemSurrogate:
    """One of fairchem's networks and one of its tasks, in single precision.

    Parameters
    ----------
    network
        As `load_network` returns it.
    task
        Data set whose level of theory and head are meant.
    charge
        Of the whole structure, in elementary charges.
    spin
        Multiplicity of the whole structure, or 0.

    Raises
    ------
    ValueError
        If the network does not know the task, or has no energy, forces or head for it.
    """

    def __init__(self, network: HydraModel, task: str, *, charge: int, spin: int) -> None:
        limit_threads()
        self._device = torch_device()
        self._network = network.to(self._device).eval()
        self._task = task
        self._info = {"charge": charge, "spin": spin}
        self._targets = _targets(network, task)
        self._heads = _heads(network, [target.name for target in self._targets.values()])
        for target in self._targets.values():
            target.normalizer.to(self._device)
            if target.element_references is not None:
                target.element_references.to(self._device)
        if self.conservative:
            regress = network.backbone.regress_config
            regress.forces, regress.stress, regress.hessian = True, False, False

    @property
    def conservative(self) -> bool:
        """Whether the forces are the gradient of the energy, and not a head's own."""
        return not self._network.backbone.regress_config.direct_forces

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols for which the task has a reference energy; None where it has none at all.

        Fits of such references leave those at zero that the data do not hold.
        """
        references = self._targets["energy"].element_references
        if references is None:
            return None
        known = references.element_references.nonzero().flatten().tolist()
        return frozenset(chemical_symbols[z] for z in known if 0 < z < self._table) or None

    @property
    def head(self) -> tuple[str, ...]:
        """All that comes after the features of the atoms for this task; other tasks' heads rest."""
        return tuple(f"output_heads.{name}.*" for name in self._heads)

    def named_parameters(self) -> Iterable[tuple[str, Parameter]]:
        """All weights with their names."""
        named: Iterable[tuple[str, Parameter]] = self._network.named_parameters()
        return named

    def prepare(self, atoms: Atoms) -> AtomicData:
        """Wrap the atoms into the cell and add charge and spin; `atoms.info` is not looked at.

        Raises
        ------
        SurrogateError
            If an element is unknown, a periodic direction has no cell, or a lone atom without
            neighbours is asked for.
        """
        self._check(atoms)
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        bare.info = dict(self._info)
        data = AtomicData.from_ase(bare, task_name=self._task, r_data_keys=["spin", "charge"])
        return data.to(self._device)

    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""
        data = self._data(prepared)
        with same_rotations():
            features = self._network.backbone(data)
        return self._ask_heads(data, features)

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If `prepare` refuses the geometry, or the network answers with what is not finite.
        """
        return to_prediction(*self.evaluate(self.prepare(atoms)))

    @property
    def _table(self) -> int:
        """How many atomic numbers, from 0, the network has an embedding for."""
        return int(getattr(self._network.backbone, "max_num_elements", len(chemical_symbols)))

    def _check(self, atoms: Atoms) -> None:
        table = frozenset(chemical_symbols[1 : self._table])
        unknown = set(atoms.symbols) - (self.elements or table)
        if unknown:
            raise SurrogateError(
                f"the model's task {self._task} does not know {', '.join(sorted(unknown))}; "
                f"it knows {', '.join(sorted(self.elements or table))}"
            )
        if atoms.pbc.any() and not np.linalg.norm(atoms.cell.array[atoms.pbc], axis=1).all():
            raise SurrogateError(
                f"pbc is {atoms.pbc.tolist()} but the cell has no vector along one of these "
                "directions; set the cell or the periodicity"
            )
        alone = len(atoms) == 1 and not atoms.pbc.any()
        if alone and not self._network.supports_single_atoms:
            raise SurrogateError(f"the model has not learned what a lone {atoms.symbols} atom is")

    def _data(self, prepared: object) -> AtomicData:
        """A copy of what was prepared: a pass through the network writes into it."""
        return expect(prepared, AtomicData, "prepare").clone()

    def _ask_heads(self, data: AtomicData, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å by the heads of this task alone.

        Each head that takes a gradient lets go of the pass through the backbone, so that a second
        one would find it gone.
        """
        self._keep_graph()
        output: dict[str, Any] = {}
        for name in self._heads:
            head = self._network.output_heads[name]
            with torch.autocast(self._device.type, enabled=head.use_amp):
                answer = head(data, features)
            output.update(answer if self._network.pass_through_head_outputs else {name: answer})
        return self._read(data, output)

    def _keep_graph(self) -> None:
        """Let forces depend on the weights while any is trained: heads at rest cut them off."""
        trained = any(weight.requires_grad for weight in self._network.parameters())
        for name in self._heads:
            for module in self._network.output_heads[name].modules():
                if hasattr(module, "regress_config"):
                    module.training = trained

    def _read(self, data: AtomicData, output: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Turn the network's output into energy () in eV and forces (n, 3) in eV/Å."""
        values = {}
        for name, target in self._targets.items():
            value = target.normalizer.denorm(output[target.name][name])
            if target.element_references is not None:
                value = target.element_references.undo_refs(data, value)
            values[name] = value
        return values["energy"][0], values["forces"]


@contextmanager
def same_rotations() -> Iterator[None]:
    """Let two passes at one geometry give the same bits, and keep the global random state.

    The backbones turn the frame of each pair of atoms about its axis by a random angle, which
    changes nothing but rounding.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(0)
        yield


def _targets(network: HydraModel, task: str) -> dict[str, Task]:
    """What the network says for a task, by property: ``energy`` and ``forces``."""
    known = network.dataset_to_tasks
    if task not in known:
        raise ValueError(f"`task` is {task!r} but the model holds {', '.join(sorted(known))}")
    targets = {target.property: target for target in known[task]}
    for name in ("energy", "forces"):
        if name not in targets:
            raise ValueError(f"`task` is {task!r} but the model has no {name} for it")
    return {name: targets[name] for name in ("energy", "forces")}


def _heads(network: HydraModel, wanted: Sequence[str]) -> tuple[str, ...]:
    """Names of the heads that answer for the outputs `wanted`, in the network's order.

    A head's outputs go by the head's own name, or by its prefix where the network passes them
    through. One that has no prefix of its own to tell, such as a mixture over data sets, is asked.
    """
    heads = network.output_heads
    if network.pass_through_head_outputs:
        found = tuple(name for name, head in heads.items() if _may_answer(head, wanted))
    else:
        found = tuple(name for name in heads if name in wanted)
    if not found:
        raise ValueError(
            f"the model's heads are {', '.join(heads)}, none of which answers for "
            f"{', '.join(wanted)}; name another task or checkpoint"
        )
    return found


def _may_answer(head: Module, wanted: Sequence[str]) -> bool:
    prefix = getattr(head, "prefix", None)
    return prefix is None or any(name.startswith(f"{prefix}_") for name in wanted)
