"""CHGNet, a charge-informed graph network trained on the Materials Project's relaxations.

What its package does differently from us ends here: energies per atom, single precision,
graphs of pymatgen structures, words on stdout.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from chgnet.graph.crystalgraph import CrystalGraph
from chgnet.model.model import CHGNet
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from torch import Tensor

from finetuna_flows.errors import SurrogateError
from finetuna_flows.geometry import Array
from finetuna_flows.surrogates.backbone import same_below_head
from finetuna_flows.surrogates.chgnet_head import CHGNetHead
from finetuna_flows.surrogates.device import limit_threads, torch_device
from finetuna_flows.surrogates.headed import HeadedSurrogate, expect


class CHGNetSurrogate(HeadedSurrogate[CrystalGraph]):
    """CHGNet with released weights: energy and forces, conservative, in single precision.

    An atom beyond 6 Å from all others keeps its own constant energy and feels no force. CHGNet's
    own calculator prints a warning then and answers; so does this one, in the log. It is no
    refusal, since the parent has the last word and an adsorbate may leave the surface on the way.
    Where the atoms are not periodic, neither is the graph: a molecule needs no box.

    Parameters
    ----------
    model
        Name of the released weights: ``0.3.0``, ``0.2.0`` or ``r2scan``.
    """

    _network: CHGNet
    _graph = CrystalGraph

    def __init__(self, model: str = "0.3.0") -> None:
        limit_threads()
        self._device = torch_device()
        with contextlib.redirect_stdout(io.StringIO()):  # the model introduces itself
            network = CHGNet.load(model_name=model, use_device=self._device.type, verbose=False)
        network.graph_converter.set_isolated_atom_response("ignore")
        self._network = network.to(self._device).eval().requires_grad_(False)
        self._parts = CHGNetHead(self._network)

    @property
    def elements(self) -> frozenset[str]:
        """Symbols that have an embedding of their own."""
        count = self._network.atom_embedding.embedding.num_embeddings
        return frozenset(chemical_symbols[1 : count + 1])

    @property
    def head(self) -> tuple[str, ...]:
        """The perceptron from an atom's features to its energy, and the norm before it."""
        return self._parts.patterns

    @property
    def _head(self) -> CHGNetHead:
        return self._parts

    def prepare(self, atoms: Atoms) -> CrystalGraph:
        """Make the graph of atoms within 6 Å and bonds within 3 Å.

        Raises
        ------
        SurrogateError
            If the network has never seen one of the elements.
        """
        unknown = set(atoms.symbols) - self.elements
        if unknown:
            raise SurrogateError(
                f"CHGNet does not know {', '.join(sorted(unknown))}; "
                "it knows the elements from hydrogen to plutonium"
            )
        # wrapped, because single precision loses digits far away from the cell
        structure = Structure(
            Lattice(atoms.cell.complete().array, pbc=tuple(atoms.pbc)),
            atoms.get_chemical_symbols(),
            _wrapped_fractions(atoms),
        )
        graph: CrystalGraph = self._network.graph_converter(structure)
        centres = graph.atom_graph.reshape(-1, 2)[:, 0].tolist()  # without edges it has no columns
        self.tell_isolated(atoms, centres, graph.atom_graph_cutoff)
        graph.lattice = graph.lattice.detach()  # no stress is asked for
        moved: CrystalGraph = graph.to(str(self._device))
        return moved

    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""
        graph = expect(prepared, CrystalGraph, "prepare")
        output = self._network([graph], task="ef")
        return output["e"][0] * len(graph.atomic_number), output["f"][0]

    def shares_backbone(self, other: object) -> bool:
        """Whether `other` is CHGNet with the same weights below its head."""
        return (
            isinstance(other, CHGNetSurrogate)
            and self._network.model_args == other._network.model_args
            and same_below_head(self, other)
        )


def _wrapped_fractions(atoms: Atoms) -> Array:
    """Coordinates in units of the cell, shape (n, 3), within it along periodic directions."""
    fractions = atoms.cell.complete().scaled_positions(atoms.positions)
    return np.asarray(fractions - np.floor(fractions) * atoms.pbc, dtype=np.float64)
