"""The ways to relax that a benchmark can be asked for, by name."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from monty.json import jsanitize

from benchmarks.published.systems import FMAX, PublishedSystem
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.presets import PRESETS, preset
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.structures.fingerprint import structure_identity

ON_THE_PARENT = ("BFGS", "GPMin", "CG")
WARM_START = "warm-start"


@dataclass(frozen=True)
class Method:
    """A name, and for a variant where its Maker comes from."""

    name: str
    variant: str | None = None
    """``FILE.py:FUNCTION``; None for one of the package's own."""

    def maker(self, system: PublishedSystem, limits: Limits) -> RelaxMaker:
        """Make the Maker that relaxes `system`.

        Raises
        ------
        ValueError, TypeError
            If there is no such method, or the variant makes something else.
        """
        return replace(
            self._maker(), name=self.name, parent=system.parent, fmax=FMAX, limits=limits
        )

    def key(self, system: PublishedSystem, limits: Limits) -> str:
        """Tell this method on this system with its fitted parent from all that differs in it."""
        spec = jsanitize(self.maker(system, limits).as_dict(), strict=True)
        del spec["name"], spec["parent"]
        content = {
            "spec": _without_versions(spec),
            "parent": system.parent_key,
            "structure": structure_identity(system.atoms),
            "variant": None if self.variant is None else _file(self.variant).read_text(),
        }
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def _maker(self) -> RelaxMaker:
        if self.variant is not None:
            return _from_file(self.variant)
        if self.name in ON_THE_PARENT:
            return ParentRelaxMaker(optimizer=self.name)
        return WarmStartMaker() if self.name == WARM_START else preset(self.name)


def parse_methods(names: str, variants: Sequence[str]) -> list[Method]:
    """Read ``NAME,NAME`` and the variants' ``NAME=FILE.py:FUNCTION``, which need not be named.

    Raises
    ------
    ValueError
        If a name is unknown or stands for two methods.
    """
    known = (*PRESETS, *ON_THE_PARENT, WARM_START)
    asked = [name for name in names.split(",") if name]
    methods = [Method(name) for name in asked]
    for name in asked:
        if name not in known:
            raise ValueError(f"method is {name!r} but must be one of {', '.join(known)}")
    for words in variants:
        name, equals, target = words.partition("=")
        if not (equals and name) or ".py:" not in target:
            raise ValueError(f"variant is {words!r} but must be NAME=FILE.py:FUNCTION")
        place, _, function = target.rpartition(":")
        methods.append(Method(name, f"{Path(place).expanduser().resolve()}:{function}"))
    if len({method.name for method in methods}) < len(methods) or not methods:
        names = ", ".join(method.name for method in methods) or "none"
        raise ValueError(f"methods are {names} but there must be some, each with its own name")
    return methods


def _file(target: str) -> Path:
    return Path(target.rpartition(":")[0])


def _from_file(target: str) -> RelaxMaker:
    path, name = _file(target), target.rpartition(":")[2]
    module_name = f"variant_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ValueError(f"variant is {target!r} but {path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # dataclasses look their own module up
        spec.loader.exec_module(module)
    made = getattr(sys.modules[module_name], name)()
    if not (hasattr(made, "make") and hasattr(made, "parent") and hasattr(made, "limits")):
        raise TypeError(
            f"{target} returned {made!r} but must return a Maker of a relaxation, such as "
            "OnlineRelaxMaker()"
        )
    maker: RelaxMaker = made
    return maker


def _without_versions(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _without_versions(item) for k, item in value.items() if k != "@version"}
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    return value
