"""The folders of saved surrogates: what they say of themselves, and which there are."""

from __future__ import annotations

import json
from pathlib import Path

from finetuna_flows.errors import SurrogateError

MODEL, WEIGHTS = "model.json", "weights.pt"
SCHEMA = 1


def read_model(folder: Path) -> dict[str, object]:
    """What ``model.json`` says: base as a plain spec, provenance, checksum of the weights.

    Raises
    ------
    SurrogateError
        If it is not there or not a record of this version.
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
    return model


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
    if not overwrite:
        raise ValueError(
            f"{folder} holds a saved surrogate already; choose another name, or set `overwrite`"
        )


def saved_names(models: Path) -> list[str]:
    """Names of the surrogates saved in the folder `models`."""
    found = (file.parent.name for file in models.glob(f"*/{MODEL}"))
    return sorted(name for name in found if not name.startswith("."))
