"""From a name or a file to one of fairchem's networks, by fairchem's own loader."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from fairchem.core.calculate import pretrained_mlip
from fairchem.core.models.base import HydraModel
from fairchem.core.units.mlip_unit import InferenceSettings, MLIPPredictUnit, load_predict_unit
from huggingface_hub.errors import HfHubHTTPError

from finetuna_flows.errors import SurrogateError
from finetuna_flows.surrogates.fairchem_files import read_checkpoint


def load_network(model: str, *, trust_checkpoint: bool) -> HydraModel:
    """Load a network with its tasks onto the CPU: single precision, experts apart, not compiled.

    Merged experts serve one composition only, and fairchem reloads the file, without what was
    learned, as soon as another one comes. The weights are the averaged ones of training.

    Parameters
    ----------
    model
        One of fairchem's names, or the path of an inference checkpoint. What has a name comes
        from the accounts of fairchem's makers on the Hugging Face hub and is trusted as their
        program is.
    trust_checkpoint
        Whether a file may run code.

    Raises
    ------
    SurrogateError
        If the file could run code, is no checkpoint, or does not come from the hub.
    ValueError
        If there is no such name.
    """
    with _undisturbed():
        if "/" not in model:
            network: HydraModel = _from_hub(model).model.module
        elif trust_checkpoint:
            network = load_predict_unit(model, _settings(), device="cpu").model.module
        else:
            network = _from_checked_file(Path(model)).model.module
    return network.requires_grad_(False)


def _settings() -> InferenceSettings:
    return InferenceSettings(
        tf32=False,
        activation_checkpointing=False,
        merge_mole=False,
        compile=False,
        execution_mode="general",  # the faster ones have no second derivatives
        auto_add_default_untrained_tasks=False,
    )


def _from_checked_file(path: Path) -> MLIPPredictUnit:
    """Hand fairchem a file of what was read safely, never the file itself."""
    checkpoint = read_checkpoint(path)
    with tempfile.TemporaryDirectory() as folder:
        checked = Path(folder) / "checked.pt"
        torch.save(checkpoint, checked)
        return load_predict_unit(checked, _settings(), device="cpu")


def _from_hub(name: str) -> MLIPPredictUnit:
    known = pretrained_mlip.available_models
    if name not in known:
        raise ValueError(
            f"`model` is {name!r} but fairchem knows {', '.join(known)}; "
            "a file needs its path, with a folder or an ending"
        )
    try:
        return pretrained_mlip.get_predict_unit(name, _settings(), device="cpu")
    except (HfHubHTTPError, OSError) as exc:
        reason = str(exc).strip().partition("\n")[0]
        raise SurrogateError(
            f"fairchem cannot get {name} from the Hugging Face hub ({type(exc).__name__}: "
            f"{reason}); ask for access on the model's page (huggingface.co/facebook), log in with "
            "`hf auth login` or HF_TOKEN, and see that this machine reaches the hub; or give the "
            "path of a file that was downloaded elsewhere"
        ) from exc


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the global random states, which fairchem seeds, and the root logger, which it opens."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - to put it back
    silent = logging.NullHandler()
    logging.getLogger().addHandler(silent)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        logging.getLogger().removeHandler(silent)
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002 - as above
