"""Surrogates with weights of the user's own: a folder with ``model.json`` and the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from hashlib import file_digest
from pathlib import Path
from pickle import UnpicklingError
from tempfile import mkdtemp

import torch
from monty.json import MontyDecoder, MontyEncoder
from torch import Tensor
from torch.nn import Parameter

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.surrogates.library import (
    MODEL,
    SCHEMA,
    WEIGHTS,
    check_base,
    check_free,
    read_model,
)
from finetuna_flows.surrogates.specs import FairchemSpec, PerturbedHeadSpec, SavedSpec


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
        Made; what is in its place stays unless `overwrite` is set. A link is followed.
    base
        Makes a surrogate with the same weights' names and shapes. Of one that was saved itself, or
        got noise on its head, its own base is written, so that a folder needs no other saved one.
        A checkpoint file that a FairchemSpec names is not copied: it must stay where it is, and its
        checksum is kept to see that it stays the same.
    surrogate
        What `base` built, after training.
    provenance
        Plain JSON values: recipe, data, errors, versions.

    Raises
    ------
    ValueError
        If there is something in the folder already, or `base` is none that `check_base` allows.
    """
    folder = folder.resolve()
    plain, checkpoint = _root(base)
    check_base(plain)
    check_free(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        kept = {name: each.detach().cpu() for name, each in surrogate.named_parameters()}
        torch.save(kept, part / WEIGHTS)
        model = {
            "schema": SCHEMA,
            "base": plain,
            "base_sha256": checkpoint,
            "weights_sha256": _digest(part / WEIGHTS),
            "provenance": dict(provenance),
        }
        (part / MODEL).write_text(json.dumps(model, cls=MontyEncoder, indent=1) + "\n")
        part.chmod(0o755)  # mkdtemp's folders are for their owner alone
        if folder.exists():
            old = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            folder.replace(old)
            try:
                part.replace(folder)
            finally:
                if part.exists():
                    old.replace(folder)
                else:
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
        If the folder holds no such model, one that is damaged, a base that `check_base` does not
        allow, weights that the base does not have, or if the checkpoint that it was made from is
        gone or another one.
    """
    model = read_model(folder)
    base = _decoded(model["base"], folder)
    file = folder / WEIGHTS
    if not file.is_file() or _digest(file) != model["weights_sha256"]:
        raise SurrogateError(
            f"{file} is not the file that {MODEL} describes; copy the whole folder again"
        )
    _check_checkpoint(base, model["base_sha256"], folder)
    surrogate = base.build()
    if not isinstance(surrogate, TrainableSurrogate):
        raise SurrogateError(f"{folder}: a {type(surrogate).__name__} has no weights to load")
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as exc:
        raise SurrogateError(f"{file} cannot be read: {exc}") from exc
    _load(surrogate.named_parameters(), weights, file)
    return surrogate


def _root(base: Spec[Surrogate]) -> tuple[object, object]:
    """What the weights go into, as plain JSON, and the SHA-256 of the checkpoint that it names."""
    within = _without_noise(base)
    if isinstance(within, SavedSpec):
        model = read_model(within.folder)
        return model["base"], model["base_sha256"]
    checkpoint = within.fingerprint() if isinstance(within, FairchemSpec) else None
    return json.loads(json.dumps(within, cls=MontyEncoder)), checkpoint


def _without_noise(base: Spec[Surrogate]) -> Spec[Surrogate]:
    """What is below noise on heads, which saved weights replace."""
    while isinstance(base, PerturbedHeadSpec):
        base = base.surrogate
    return base


def _decoded(plain: object, folder: Path) -> Spec[Surrogate]:
    """The base of a record; `read_model` has seen that nothing of it runs code."""
    try:
        base: Spec[Surrogate] = MontyDecoder().process_decoded(plain)
    except (ValueError, TypeError) as exc:
        raise SurrogateError(f"{folder / MODEL}: {exc}") from exc
    return base


def _check_checkpoint(base: Spec[Surrogate], expected: object, folder: Path) -> None:
    within = _without_noise(base)
    if not isinstance(within, FairchemSpec):
        return
    try:
        found = within.fingerprint()
    except OSError as exc:
        raise SurrogateError(
            f"{folder} was made from the checkpoint {within.model}, which cannot be read "
            f"({exc.strerror}); put it there again"
        ) from exc
    if found != expected:
        raise SurrogateError(
            f"{folder} was made from a checkpoint with the SHA-256 {expected} but {within.model} "
            f"has {found}; put the same file there again, or adapt this one and save it"
        )


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


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
