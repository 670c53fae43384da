"""Surrogates with weights of the user's own: a folder with ``model.json`` and the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from tempfile import mkdtemp

import torch
from monty.json import MontyDecoder, MontyEncoder
from torch import Tensor
from torch.nn import Parameter

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.surrogates.library import MODEL, SCHEMA, WEIGHTS, check_free, read_model
from finetuna_flows.surrogates.specs import SavedSpec


def save_surrogate(
    folder: Path,
    base: Spec[Surrogate],
    surrogate: TrainableSurrogate,
    provenance: Mapping[str, object],
    *,
    overwrite: bool = False,
) -> None:
    """Write weights and where they come from, whole or not at all.

    Parameters
    ----------
    folder
        Made; what is in its place stays unless `overwrite` is set.
    base
        Makes a surrogate with the same weights' names and shapes. Of one that was saved itself its
        own base is written, so that a folder needs no other folder.
    surrogate
        What `base` built, after training.
    provenance
        Plain JSON values: recipe, data, errors, versions.

    Raises
    ------
    ValueError
        If there is something in the folder already.
    """
    check_free(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        kept = {name: each.detach().cpu() for name, each in surrogate.named_parameters()}
        torch.save(kept, part / WEIGHTS)
        model = {
            "schema": SCHEMA,
            "base": _root(base),
            "weights_sha256": _digest(part / WEIGHTS),
            "provenance": dict(provenance),
        }
        (part / MODEL).write_text(json.dumps(model, cls=MontyEncoder, indent=1) + "\n")
        part.chmod(0o755)  # mkdtemp's folders are for their owner alone
        if folder.exists():
            old = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            folder.replace(old)
            part.replace(folder)
            shutil.rmtree(old)
        else:
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_surrogate(folder: Path) -> Surrogate:
    """Build the base and give it the saved weights; what it can do then is what the base can.

    Raises
    ------
    SurrogateError
        If the folder holds no such model, one that is damaged, or weights that the base does not
        have.
    """
    model = read_model(folder)
    base: Spec[Surrogate] = MontyDecoder().process_decoded(model["base"])
    surrogate = base.build()
    if not isinstance(surrogate, TrainableSurrogate):
        raise SurrogateError(f"{folder}: a {type(surrogate).__name__} has no weights to load")
    file = folder / WEIGHTS
    if not file.is_file() or _digest(file) != model["weights_sha256"]:
        raise SurrogateError(
            f"{file} is not the file that {MODEL} describes; copy the whole folder again"
        )
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as exc:
        raise SurrogateError(f"{file} cannot be read: {exc}") from exc
    _load(surrogate.named_parameters(), weights, file)
    return surrogate


def _root(base: Spec[Surrogate]) -> object:
    return read_model(base.folder)["base"] if isinstance(base, SavedSpec) else base


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _load(
    named: Iterable[tuple[str, Parameter]], weights: Mapping[str, Tensor], file: Path
) -> None:
    there = dict(named)
    expected = {name: tuple(each.shape) for name, each in there.items()}
    found = {name: tuple(each.shape) for name, each in weights.items()}
    if expected != found:
        differing = sorted(dict(expected.items() ^ found.items()))
        raise SurrogateError(
            f"{file} does not fit its base: {', '.join(differing[:5])} differ; use the versions of "
            f"the packages that {MODEL} names"
        )
    with torch.no_grad():
        for name, values in weights.items():
            there[name].copy_(values)
