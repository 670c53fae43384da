"""Small checkpoints of fairchem's, made within seconds by the script that users copy."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import torch
from ase import Atoms
from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint
from torch.optim.swa_utils import AveragedModel

SCRIPT = Path(__file__).resolve().parents[2] / "workflows" / "03_train_small_esen.py"
MOE = "fairchem.core.models.uma.escn_moe"


@cache
def script() -> Any:
    """The training script as a module."""
    spec = importlib.util.spec_from_file_location("train_small_esen", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def labelled() -> list[Atoms]:
    """C, N, O and H on copper and platinum."""
    structures: list[Atoms] = script().label_structures(40, seed=0, metals=("Cu", "Pt"))
    return structures


@cache
def small_esen() -> Path:
    """An eSEN with conservative forces after some steps of training, for the task oc20."""
    return _trained(direct=False, steps=30)


@cache
def small_direct_esen() -> Path:
    """An eSEN with a head for its forces, hardly trained, for the task oc20."""
    return _trained(direct=True, steps=2)


@cache
def small_uma() -> Path:
    """A mixture of four experts with random weights, for the tasks oc20 and omol."""
    config = script().model_config(channels=16, layers=1)
    both = {"dataset_mapping": {"oc20": "oc20", "omol": "omol"}}
    config["backbone"] |= both | {
        "model": f"{MOE}.eSCNMDMoeBackbone",
        "num_experts": 4,
        "use_composition_embedding": True,
    }
    head = {"head_cls": f"{script().MODELS}.MLP_EFS_Head", "head_kwargs": {"wrap_property": False}}
    config["heads"] = {"both": {"module": f"{MOE}.DatasetSpecificMoEWrapper"} | both | head}
    config["model_id"] = "small"
    tasks = [
        task | {"name": f"{data}_{task['name']}", "datasets": [data]}
        for data in ("oc20", "omol")
        for task in script().tasks_config(labelled())
    ]
    torch.manual_seed(0)
    model = hydra.utils.instantiate(config)
    averaged = AveragedModel(model).state_dict()
    return _write(MLIPInferenceCheckpoint(config, model.state_dict(), averaged, tasks), "uma.pt")


@cache
def small_two_headed_esen() -> Path:
    """An eSEN with random weights and a conservative head each for the tasks oc20 and omat."""
    config = script().model_config(channels=16, layers=1)
    data = ("oc20", "omat")
    config["backbone"]["dataset_mapping"] = {name: name for name in data}
    module = f"{script().MODELS}.MLP_EFS_Head"
    config["heads"] = {f"{name}_head": {"module": module, "prefix": name} for name in data}
    tasks = [
        task | {"name": f"{name}_{task['name']}", "datasets": [name]}
        for name in data
        for task in script().tasks_config(labelled())
    ]
    torch.manual_seed(0)
    model = hydra.utils.instantiate(config)
    averaged = AveragedModel(model).state_dict()
    return _write(
        MLIPInferenceCheckpoint(config, model.state_dict(), averaged, tasks), "two_heads.pt"
    )


def _trained(*, direct: bool, steps: int) -> Path:
    config = script().model_config(direct=direct, channels=16, layers=1)
    torch.set_num_threads(1)
    checkpoint = script().train(labelled(), config, seed=0, steps=steps)
    return _write(checkpoint, f"esen_{direct}.pt")


def _write(checkpoint: object, name: str) -> Path:
    """Save it in a folder that goes when the tests end."""
    path = _folder() / name
    torch.save(checkpoint, path)
    return path


@cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="small_esen_"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
