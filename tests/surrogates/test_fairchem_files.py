"""Reading fairchem's checkpoints: genuine ones as they are, and none that could run code."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint
from omegaconf import OmegaConf
from omegaconf.nodes import AnyNode

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import TrainableSurrogate
from finetuna_flows.surrogates.fairchem_files import read_checkpoint
from finetuna_flows.surrogates.specs import FairchemSpec, PerturbedHeadSpec, SavedSpec
from tests.fakes.small_esen import small_esen, small_uma
from tests.surrogates.structures import water

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning"),
]


class MakesFolder:
    """Unpickling it calls `os.mkdir`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def genuine() -> MLIPInferenceCheckpoint:
    found: MLIPInferenceCheckpoint = torch.load(small_esen(), weights_only=False)
    return found


def saved(checkpoint: object, folder: Path) -> Path:
    path = folder / "checkpoint.pt"
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize("made", [small_esen, small_uma])
def test_a_genuine_file_is_read_as_it_is(made: Any) -> None:
    there, found = torch.load(made(), weights_only=False), read_checkpoint(made())
    assert found.model_config == there.model_config
    assert found.tasks_config == there.tasks_config
    for name in ("model_state_dict", "ema_state_dict"):
        ours, theirs = getattr(found, name), getattr(there, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_configuration_as_fairchems_trainer_writes_it_is_resolved(tmp_path: Path) -> None:
    plain = genuine()
    whole = OmegaConf.create(
        {"width": 16, "unit": {"model": plain.model_config, "tasks": plain.tasks_config}}
    )
    whole.unit.model.backbone.sphere_channels = "${width}"
    written = MLIPInferenceCheckpoint(
        whole.unit.model, plain.model_state_dict, plain.ema_state_dict, whole.unit.tasks
    )
    found = read_checkpoint(saved(written, tmp_path))
    assert found.model_config == plain.model_config
    assert found.tasks_config == plain.tasks_config


def test_a_pickle_that_calls_is_refused_and_calls_only_when_trusted(tmp_path: Path) -> None:
    checkpoint = genuine()
    checkpoint.tasks_config = [*checkpoint.tasks_config, MakesFolder(tmp_path / "made")]
    path = saved(checkpoint, tmp_path)
    with pytest.raises(
        SurrogateError, match=r"its pickle calls posix\.mkdir.*trust_checkpoint=True"
    ):
        FairchemSpec(str(path), "oc20").build()
    assert not (tmp_path / "made").exists()
    with pytest.raises(Exception, match="None"):  # what it called returned no task
        FairchemSpec(str(path), "oc20", trust_checkpoint=True).build()
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("tasks", 0, "_target_"), "os.system", "its `_target_` names os.system"),
        (("tasks", 0, "normalizer", "_target_"), "builtins.eval", "names builtins.eval"),
        (("model", "_target_"), "fairchem.core.common.utils.os.system", "names fairchem.core.c"),
        (("model", "backbone", "model"), "os.system", "its `model` names os.system"),
        (("model", "heads", "both", "module"), "os.system", "its `module` names os.system"),
        (("model", "heads", "both", "head_cls"), ["os.system"], "its `head_cls` names"),
        (
            ("model", "finetune_config"),
            {"starting_checkpoint": "other.pt"},
            "its `finetune_config` loads",
        ),
        (
            ("model", "backbone", "act_type"),
            "${oc.create:{_target_:os.system,command:ls}}",
            "its `_target_` names os.system",
        ),
        (("model", "backbone", "act_type"), "\\${oc.env:HOME}", "configuration computes"),
    ],
)
def test_a_configuration_that_names_something_else_is_refused(
    where: tuple[Any, ...], value: object, words: str, tmp_path: Path
) -> None:
    checkpoint = genuine()
    node: Any = {
        "model": copy.deepcopy(checkpoint.model_config),
        "tasks": copy.deepcopy(checkpoint.tasks_config),
    }
    checkpoint.model_config, checkpoint.tasks_config = node["model"], node["tasks"]
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    path = saved(checkpoint, tmp_path)
    with pytest.raises(SurrogateError, match="could run code") as caught:
        read_checkpoint(path)
    assert words in str(caught.value)
    assert "trust_checkpoint=True" in str(caught.value)


@pytest.mark.parametrize("where", ["model_config", "tasks_config"])
def test_a_configuration_hidden_in_a_node_is_refused(where: str, tmp_path: Path) -> None:
    """Its reference resolves to an allowed name alone, and to another one in the whole."""
    checkpoint = genuine()
    hidden = OmegaConf.create(
        {
            "model_id": "escnmd_backbone",
            "heads": {
                "both": {
                    "module": "${model_id}",
                    "setup": f"open({str(tmp_path / 'made')!r}, 'w')",
                    "number": 1,
                }
            },
        }
    )
    whole = OmegaConf.create({"config": getattr(checkpoint, where)})
    target = whole.config if where == "model_config" else whole.config[0]
    target.model_id = "timeit.timeit"
    node = AnyNode(0, key="heads", parent=target)
    node.__dict__["_val"] = hidden.heads
    target.__dict__["_content"]["heads"] = node
    setattr(checkpoint, where, whole.config)
    path = saved(checkpoint, tmp_path)
    with pytest.raises(SurrogateError, match=r"its configuration holds a DictConfig"):
        FairchemSpec(str(path), "oc20").build()
    assert not (tmp_path / "made").exists()


def test_a_trusted_file_predicts_as_a_checked_one() -> None:
    checked, trusted = (
        FairchemSpec(str(small_esen()), "oc20", trust_checkpoint=trust).build().predict(water())
        for trust in (False, True)
    )
    assert trusted.energy == checked.energy
    assert np.array_equal(trusted.forces, checked.forces)


def test_a_saved_surrogate_notices_when_its_checkpoint_is_another_one(tmp_path: Path) -> None:
    """It is read for the architecture and the normalization, which the weights do not hold."""
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(small_esen().read_bytes())
    base, spec = FairchemSpec(str(path), "oc20"), SavedSpec(str(tmp_path / "adapted"))
    network = base.build()
    assert isinstance(network, TrainableSurrogate)
    spec.write(base, network, {})
    again = SavedSpec(str(tmp_path / "again"))
    again.write(PerturbedHeadSpec(spec), network, {})
    assert again.build().predict(water()).energy == network.predict(water()).energy
    scaled = genuine()
    scaled.tasks_config[0]["normalizer"]["rmsd"] *= 2
    saved(scaled, tmp_path)
    for each in (spec, again):
        with pytest.raises(SurrogateError, match=r"with the SHA-256 .*put the same file there"):
            each.build()
    path.unlink()
    with pytest.raises(SurrogateError, match=r"checkpoint\.pt, which cannot be read \(No"):
        spec.build()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=r"none\.pt is not a file"):
        read_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(SurrogateError, match=r"text\.pt is not one of fairchem's"):
        read_checkpoint(tmp_path / "text.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(MakesFolder(tmp_path / "made")))
    with pytest.raises(SurrogateError, match=r"old\.pt is not one of fairchem's"):
        read_checkpoint(tmp_path / "old.pt")
    assert not (tmp_path / "made").exists()
    with pytest.raises(SurrogateError, match=r"holds a dict but must hold .*not a training state"):
        read_checkpoint(saved({"weights": torch.zeros(3)}, tmp_path))
    whole = small_esen().read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SurrogateError, match=r"cut\.pt is not one of fairchem's"):
        read_checkpoint(tmp_path / "cut.pt")
    checkpoint = genuine()
    checkpoint.tasks_config = "none"
    with pytest.raises(SurrogateError, match=r"has a str where .* configuration"):
        read_checkpoint(saved(checkpoint, tmp_path))
