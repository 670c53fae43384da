"""What makes a run this run, so that a later one may use its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ase import Atoms
from jobflow import Maker

from finetuna_flows.colocation.specs import IpiParentSpec, TwinParentSpec
from finetuna_flows.protocols import ParentCalculator, PreparingParent
from finetuna_flows.structures.fingerprint import structure_identity

NOT_IDENTITY = ("name", "limits", "tags", "placement")
"""Fields of a Maker that may differ between a run and its resumption."""
OF_AN_ENGINE = ("command", "pause", "patience")
"""Fields of an `IpiParentSpec` that may differ."""


def identity_of(
    maker: Maker, spec: Mapping[str, Any], parent: ParentCalculator, atoms: Atoms
) -> dict[str, object]:
    """Everything that changes a number: spec, files that it names, level of theory, structure.

    Where the parent runs changes none. A parent that works settings out for the structure is
    identified by its level alone.

    Parameters
    ----------
    maker, spec
        What the user chose, and the same as plain JSON.
    parent
        Prepared for the structure.
    atoms
        The structure.
    """
    said = {key: value for key, value in spec.items() if key not in NOT_IDENTITY}
    chosen = getattr(maker, "parent", None)
    if isinstance(chosen, TwinParentSpec):
        chosen, said["parent"] = chosen.parent, said["parent"]["parent"]
    if isinstance(chosen, IpiParentSpec):
        engine: Mapping[str, Any] = said["parent"]
        said["parent"] = {key: engine[key] for key in engine if key not in OF_AN_ENGINE}
    if isinstance(parent, PreparingParent) and parent.settings:
        said.pop("parent", None)
    identity = {
        "level": parent.level,
        "spec": _without_versions(said),
        "structure": structure_identity(atoms),
    }
    files = fingerprints(maker)
    return {**identity, "fingerprints": files} if files else identity


def fingerprints(spec: object, name: str = "") -> dict[str, str]:
    """What the specs in a Maker, or in a spec, say of the contents of the files they name.

    A spec that depends on files has a method ``fingerprint()``, which returns their digest, or
    None where it names none. Keys are the places, as in ``surrogate/members/0``.
    """
    parts: Mapping[Any, object] = {}
    if isinstance(spec, TwinParentSpec):
        return fingerprints(spec.parent, name)
    if is_dataclass(spec) and not isinstance(spec, type):
        kept = (each.name for each in fields(spec))
        parts = {key: getattr(spec, key) for key in kept if name or key not in NOT_IDENTITY}
    elif isinstance(spec, Mapping):
        parts = spec
    elif isinstance(spec, list | tuple):
        parts = dict(enumerate(spec))
    found = {
        place: digest
        for key, part in parts.items()
        for place, digest in fingerprints(part, f"{name}/{key}".lstrip("/")).items()
    }
    fingerprint = getattr(spec, "fingerprint", None)
    own = fingerprint() if callable(fingerprint) else None
    return found if own is None else {name: own, **found}


def _without_versions(value: object) -> object:
    if isinstance(value, Mapping):
        items = value.items()
        return {key: _without_versions(item) for key, item in items if key != "@version"}
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    return value
