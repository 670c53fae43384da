"""The folders of saved surrogates: what they say of themselves, and which there are."""

from __future__ import annotations

import json
from pathlib import Path

from finetuna_flows.errors import SurrogateError

MODEL, WEIGHTS = "model.json", "weights.pt"
SCHEMA = 1
BASES = (
    "CHGNetSpec", "FairchemSpec", "SevenNetSpec", "ToySpec", "PerturbedHeadSpec", "SavedSpec",
)  # fmt: skip
"""Classes in `surrogates.specs` that a saved surrogate can be made from."""
_SPECS = "finetuna_flows.surrogates.specs"


def read_model(folder: Path) -> dict[str, object]:
    """What ``model.json`` says: base as a plain spec, provenance, checksums.

    ``weights_sha256`` is that of the weights; ``base_sha256`` that of the checkpoint file which the
    base names, None where it names none.

    Raises
    ------
    SurrogateError
        If it is not there, not a record of this version, or its base is none that `check_base`
        allows, or a saved surrogate again.
    """
    file = folder / MODEL
    try:
        model = json.loads(file.read_text())
    except FileNotFoundError as exc:
        there = ", ".join(saved_names(folder.parent)) or "none"
        raise SurrogateError(
            f"{folder} holds no {MODEL}; saved surrogates beside it: {there}. Name one of them, "
            "or the folder of one by its path (with a / in it)"
        ) from exc
    except ValueError as exc:
        raise SurrogateError(f"{file} is damaged: {exc}") from exc
    if not isinstance(model, dict) or model.get("schema") != SCHEMA:
        raise SurrogateError(f"{file} is not a record of schema {SCHEMA}; save the model again")
    missing = [
        key for key in ("base", "base_sha256", "weights_sha256", "provenance") if key not in model
    ]
    if missing:
        raise SurrogateError(
            f"{file} is damaged: it has no {', '.join(missing)}; save the model again"
        )
    try:
        check_base(model["base"], saved=False)
    except ValueError as exc:
        raise SurrogateError(f"{file}: {exc}") from exc
    return model


def check_base(base: object, *, saved: bool = True) -> None:
    """Refuse a base whose making could run code that a folder from elsewhere chose.

    Parameters
    ----------
    base
        A spec as plain JSON, before it is decoded: decoding alone can call any class.
    saved
        Whether it may be a saved surrogate, which is written down by the base of its own; one on
        record could lead round in a circle.

    Raises
    ------
    ValueError
        If it, or a part of it, is none of `BASES`, trusts a checkpoint, or is a saved surrogate
        where it may be none.
    """
    named = base if isinstance(base, dict) else {"@class": base}
    module, name = named.get("@module"), named.get("@class")
    if module != _SPECS or name not in BASES:
        raise ValueError(
            f"the base is {name!r} of {module} but a saved surrogate can be made from "
            f"{', '.join(BASES)} of {_SPECS} alone"
        )
    if name == "SavedSpec" and not saved:
        raise ValueError(
            f"the base is the saved surrogate {named.get('name')!r} but must be what that one was "
            "made from, so that no other folder is needed; save the model again"
        )
    if named.get("trust_checkpoint", False) is not False:
        raise ValueError(
            "`trust_checkpoint` is set in the base but a saved surrogate must not run code when "
            "it is loaded; leave it unset, which suffices for what fairchem's own models need"
        )
    for value in named.values():
        if isinstance(value, dict | list):
            check_base(value, saved=saved)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that would be overwritten without being asked to, or is something else.

    Raises
    ------
    ValueError
        Naming the folder.
    """
    if not folder.exists():
        return
    if not (folder / MODEL).is_file():
        raise ValueError(f"{folder} exists and holds no saved surrogate; choose another name")
    strange = sorted(file.name for file in folder.iterdir() if file.name not in (MODEL, WEIGHTS))
    if strange:
        raise ValueError(
            f"{folder} holds {', '.join(strange)} besides a saved surrogate, which overwriting "
            "would delete; move it elsewhere, or choose another name"
        )
    if not overwrite:
        raise ValueError(
            f"{folder} holds a saved surrogate already; choose another name, or set `overwrite`"
        )


def saved_names(models: Path) -> list[str]:
    """Names of the surrogates saved in the folder `models`."""
    found = (file.parent.name for file in models.glob(f"*/{MODEL}"))
    return sorted(name for name in found if not name.startswith("."))
