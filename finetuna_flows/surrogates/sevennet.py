"""SevenNet, an equivariant network whose weights lie in its package or come by name.

What its package does differently from us ends here: it takes derivatives by the vectors between
neighbours, keeps no graph for the weights unless told that it trains, and says which kernels are
missing as a warning.
"""

from __future__ import annotations

import warnings
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from ase.data import chemical_symbols
from sevenn import _keys as key
from sevenn.atom_graph_data import AtomGraphData
from sevenn.nn.sequential import AtomGraphSequential
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import load_checkpoint, pretrained_name_to_path
from torch import Tensor

from finetuna_flows.errors import SurrogateError
from finetuna_flows.surrogates.backbone import same_below_head
from finetuna_flows.surrogates.device import limit_threads, torch_device
from finetuna_flows.surrogates.headed import HeadedSurrogate, expect
from finetuna_flows.surrogates.sevennet_head import HEAD, SevenNetHead

DEFAULT_MODALS = {"7net-mf-0": "PBE"}
"""Level of theory that is meant where none is named; no other model has one that is obvious."""


class SevenNetSurrogate(HeadedSurrogate[AtomGraphData]):
    """SevenNet with released weights: energy and forces, conservative, in single precision.

    Atoms beyond the cutoff from all others keep their own constant energy and feel no force; the
    log warns of them.

    Parameters
    ----------
    model
        A name that SevenNet's package knows, or the path of a checkpoint.
    modal
        Data set whose level of theory is meant, for models of several. None for the others, and
        for ``7net-mf-0``, where it means ``PBE``.
    trust_checkpoint
        Whether a file may run code while it is loaded, as SevenNet's own loader lets it.

    Raises
    ------
    SurrogateError
        If the weights cannot be had, or `modal` does not fit them.
    """

    _network: AtomGraphSequential
    _graph = AtomGraphData

    def __init__(
        self, model: str = "7net-mf-0", modal: str | None = None, *, trust_checkpoint: bool = False
    ) -> None:
        limit_threads()
        self._device = torch_device()
        self._model = model
        self._network = _load(model, trust_checkpoint=trust_checkpoint)
        self._modal = _check_modal(model, modal, self._network.modal_map)
        self._network.set_is_batch_data(False)
        self._network.to(self._device).eval().requires_grad_(False)
        self._network.get_submodule("force_output").train()  # it keeps the graph then

    @property
    def elements(self) -> frozenset[str]:
        """Symbols that have an embedding of their own."""
        return frozenset(chemical_symbols[number] for number in self._network.type_map or ())

    @property
    def head(self) -> tuple[str, ...]:
        """The two linear maps from an atom's scalar features to its energy."""
        return tuple(f"{module}.*" for module in HEAD)

    def prepare(self, atoms: Atoms) -> AtomGraphData:
        """Make the graph of neighbours within the cutoff, 5 Å for the weights in the package.

        Raises
        ------
        SurrogateError
            If the network has never seen one of the elements.
        """
        unknown = set(atoms.symbols) - self.elements
        if unknown:
            raise SurrogateError(
                f"SevenNet does not know {', '.join(sorted(unknown))}; these weights know "
                f"{len(self.elements)} elements"
            )
        found = unlabeled_atoms_to_graph(atoms, self._network.cutoff, with_shift=False)
        graph: AtomGraphData = AtomGraphData.from_numpy_dict(found)
        self.tell_isolated(atoms, graph[key.EDGE_IDX][0].tolist(), self._network.cutoff)
        if self._modal is not None:
            graph[key.DATA_MODALITY] = self._modal
        moved: AtomGraphData = graph.to(self._device)
        return moved

    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""
        output = self._network(expect(prepared, AtomGraphData, "prepare").clone())
        return output[key.PRED_TOTAL_ENERGY].reshape(()), output[key.PRED_FORCE]

    def shares_backbone(self, other: object) -> bool:
        """Whether `other` has the same model, level and weights below its head."""
        return (
            isinstance(other, SevenNetSurrogate)
            and dict(self._network.named_children()).keys() >= set(HEAD)
            and (self._model, self._modal) == (other._model, other._modal)
            and same_below_head(self, other)
        )

    @cached_property
    def _head(self) -> SevenNetHead:
        """Made when it is asked for: a network with another readout predicts without."""
        return SevenNetHead(self._network)


def _load(model: str, *, trust_checkpoint: bool) -> AtomGraphSequential:
    is_file = Path(model).is_absolute()
    if is_file and not trust_checkpoint:
        raise SurrogateError(
            f"{model} is a pickle, which may run code while SevenNet loads it; if you know where "
            "it comes from, set `trust_checkpoint`"
        )
    try:
        # a name as such would be looked for in the working directory first
        path = model if is_file else Path(pretrained_name_to_path(model)).resolve()
    except (OSError, ValueError) as exc:
        raise SurrogateError(
            f"SevenNet could not get {model}: {exc}; without a network, copy its checkpoint here "
            "and name the file"
        ) from exc
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
            return load_checkpoint(path).build_model()
    except Exception as exc:  # whatever a pickle may raise
        raise SurrogateError(
            f"SevenNet could not load {path}: {exc}; it is no checkpoint of SevenNet "
            f"{version('sevenn')}"
        ) from exc


def _check_modal(model: str, modal: str | None, known: dict[str, int] | None) -> str | None:
    if modal is not None and not known:
        raise SurrogateError(f"`modal` is {modal!r} but {model} has one level only; leave it out")
    meant = DEFAULT_MODALS.get(model) if modal is None else modal
    if known and meant not in known:
        raise SurrogateError(
            f"`modal` is {modal!r} but {model} has {', '.join(known)}; name one of them"
        )
    return meant
