"""Read fairchem's inference checkpoints without running what is in them.

Such a file is a pickle, which can call any function when it is loaded, around a configuration,
which names any function for hydra to call. Fairchem's own loader does what both of them say. Here
the pickle may only make the objects that a genuine file consists of, and the configuration may
only name fairchem's own models, heads, losses and normalizers.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import omegaconf
import torch
from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint
from omegaconf import OmegaConf
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import (
    AnyNode,
    BooleanNode,
    FloatNode,
    IntegerNode,
    InterpolationResultNode,
    StringNode,
)

from finetuna_flows.errors import SurrogateError

_OBJECTS: list[Any] = [
    MLIPInferenceCheckpoint,
    # fairchem's trainer writes its configuration as OmegaConf's objects
    omegaconf.DictConfig,
    omegaconf.ListConfig,
    ContainerMetadata,
    Metadata,
    AnyNode,
    BooleanNode,
    FloatNode,
    IntegerNode,
    InterpolationResultNode,
    StringNode,
    (Any, "typing.Any"),
    collections.defaultdict,
    dict,
    list,
    int,
    float,
    str,
    bool,
]

_UMA = "fairchem.core.models.uma"
_ESCAIP = "fairchem.core.models.escaip.EScAIP"
_ALLSCAIP = "fairchem.core.models.allscaip.AllScAIP"
_UNIT = "fairchem.core.units.mlip_unit.mlip_unit"
_MODULES = "fairchem.core.modules"

NAMES = frozenset(
    {
        "fairchem.core.models.base.HydraModel",
        f"{_UMA}.escn_md.eSCNMDBackbone",
        f"{_UMA}.escn_md.MLP_EFS_Head",
        f"{_UMA}.escn_md.MLP_Energy_Head",
        f"{_UMA}.escn_md.Linear_Energy_Head",
        f"{_UMA}.escn_md.Linear_Force_Head",
        f"{_UMA}.escn_md.MLP_Stress_Head",
        f"{_UMA}.escn_moe.eSCNMDMoeBackbone",
        f"{_UMA}.escn_moe.DatasetSpecificMoEWrapper",
        f"{_UMA}.escn_moe.DatasetSpecificSingleHeadWrapper",
        f"{_ESCAIP}.EScAIPBackbone",
        f"{_ESCAIP}.EScAIPDirectForceHead",
        f"{_ESCAIP}.EScAIPEnergyHead",
        f"{_ESCAIP}.EScAIPGradientEnergyForceStressHead",
        f"{_ALLSCAIP}.AllScAIPBackbone",
        f"{_ALLSCAIP}.AllScAIPDirectForceHead",
        f"{_ALLSCAIP}.AllScAIPEnergyHead",
        f"{_ALLSCAIP}.AllScAIPGradientEnergyForceStressHead",
        "hydra",  # the rest of this paragraph: names in fairchem's registry
        "escnmd_backbone",
        "escnmd_moe_backbone",
        "EScAIP_backbone",
        "EScAIP_direct_force_head",
        "EScAIP_energy_head",
        "EScAIP_grad_energy_force_stress_head",
        "AllScAIP_backbone",
        "AllScAIP_direct_force_head",
        "AllScAIP_energy_head",
        "AllScAIP_grad_energy_force_stress_head",
        f"{_UNIT}.Task",
        f"{_UNIT}.OutputSpec",
        f"{_MODULES}.normalization.normalizer.Normalizer",
        f"{_MODULES}.normalization.element_references.ElementReferences",
        f"{_MODULES}.loss.DDPMTLoss",
        f"{_MODULES}.loss.MAELoss",
        f"{_MODULES}.loss.MSELoss",
        f"{_MODULES}.loss.PerAtomMAELoss",
        f"{_MODULES}.loss.L2NormLoss",
        "torch.DoubleTensor",
        "torch.FloatTensor",
        "torch.tensor",
    }
)
"""What a configuration may name; whole names, because hydra and fairchem's registry follow dots
into whatever a module has imported, such as ``fairchem.core.common.utils.os.system``."""

_NAMING = ("_target_", "model", "module", "head_cls")
"""Keys whose values hydra or fairchem's registry import and call."""

_PLAIN = (dict, list, str, int, float, bool, type(None))
"""What JSON has. Anything else could mean another thing to hydra than it does here: OmegaConf keeps
a configuration inside a node as it is, and resolves its references by whatever it is put into."""

_WAY_OUT = "if you trust who made it, say trust_checkpoint=True"


def read_checkpoint(path: Path) -> MLIPInferenceCheckpoint:
    """Read weights and configuration, the latter as plain dictionaries, lists and values.

    Raises
    ------
    SurrogateError
        If the file is none of fairchem's inference checkpoints, or holds or names what is not
        on the lists.
    """
    if not path.is_file():
        raise SurrogateError(
            f"{path} is not a file; give a checkpoint's path or one of fairchem's model names"
        )
    if not zipfile.is_zipfile(path):
        raise SurrogateError(f"{path} is not one of fairchem's inference checkpoints")
    with torch.serialization.safe_globals(_OBJECTS):
        try:
            unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            if unknown:
                raise SurrogateError(_refusal(path, "its pickle calls", ", ".join(sorted(unknown))))
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, ValueError, RuntimeError, EOFError) as exc:
            raise SurrogateError(
                f"{path} cannot be read as one of fairchem's inference checkpoints: {exc}"
            ) from exc
    if not isinstance(checkpoint, MLIPInferenceCheckpoint):
        raise SurrogateError(
            f"{path} holds a {type(checkpoint).__name__} but must hold fairchem's "
            "MLIPInferenceCheckpoint (inference_ckpt.pt, not a training state)"
        )
    return MLIPInferenceCheckpoint(
        model_config=_plain(path, checkpoint.model_config),
        model_state_dict=checkpoint.model_state_dict,
        ema_state_dict=checkpoint.ema_state_dict,
        tasks_config=_plain(path, checkpoint.tasks_config),
    )


def _plain(path: Path, config: object) -> Any:
    """The configuration with its references to itself resolved, after a look at every name."""
    if not isinstance(config, dict | list | omegaconf.DictConfig | omegaconf.ListConfig):
        raise SurrogateError(
            f"{path} has a {type(config).__name__} where fairchem's checkpoints have a "
            "configuration; give another file"
        )
    try:
        node = config if OmegaConf.is_config(config) else OmegaConf.create(config)
        plain = OmegaConf.to_container(node, resolve=True)
    except omegaconf.errors.OmegaConfBaseException as exc:
        raise SurrogateError(f"the configuration in {path} does not resolve: {exc}") from exc
    _check(path, plain)
    return plain


def _check(path: Path, node: object) -> None:
    if type(node) not in _PLAIN:
        raise SurrogateError(_refusal(path, "its configuration holds a", type(node).__name__))
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _NAMING and not (isinstance(value, str) and value in NAMES):
                raise SurrogateError(_refusal(path, f"its `{key}` names", value))
            if key == "finetune_config" and value is not None:
                raise SurrogateError(_refusal(path, f"its `{key}` loads", value))
            _check(path, key)
            _check(path, value)
    elif isinstance(node, str):
        if "${" in node:  # hydra would resolve once more, after this look
            raise SurrogateError(_refusal(path, "its configuration computes", node))
    elif isinstance(node, list):
        for value in node:
            _check(path, value)


def _refusal(path: Path, what: str, name: object) -> str:
    return (
        f"the checkpoint {path} could run code: {what} {name}, which fairchem's own models do not "
        f"need; {_WAY_OUT}"
    )
