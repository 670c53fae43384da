"""From the words of the command line to specs and Makers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetuna_flows.finetuning.specs import GradientSpec, ResidualGPSpec, StackSpec
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import (
    AseParentSpec,
    Continuation,
    EmbeddedParentSpec,
    GpawParentSpec,
    TbliteParentSpec,
)
from finetuna_flows.protocols import ParentCalculator, Spec, Surrogate, TunerSpec
from finetuna_flows.queries.parse import parse_criterion
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.optimizers import ON_THE_PARENT
from finetuna_flows.surrogates.specs import AseSurrogateSpec, CHGNetSpec, ToySpec

ENGINES: dict[str, type[EmbeddedParentSpec] | type[GpawParentSpec] | type[TbliteParentSpec]] = {
    "embedded": EmbeddedParentSpec,
    "gpaw": GpawParentSpec,
    "tblite": TbliteParentSpec,
}
METHODS = ("online", "warm-start", *ON_THE_PARENT)


def parse_parent(words: str, arguments: str | None) -> Spec[ParentCalculator]:
    """``embedded``, ``gpaw``, ``tblite`` (``:cold``, ``:restart``, ``:kept``), ``emt``, ``ase:…``.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    kind, _, rest = words.partition(":")
    given = _json_object("--parent-args", arguments)
    if kind == "ase" and rest:
        return AseParentSpec(rest, given)
    if kind in ENGINES and rest in ("", *Continuation):
        return ENGINES[kind](**{"continuation": Continuation(rest or Continuation.KEPT), **given})
    if words == "emt":
        return AseParentSpec("ase.calculators.emt:EMT", given)
    raise ValueError(
        f"--parent is {words!r} but must be one of {', '.join(ENGINES)} (with :cold, :restart or "
        ":kept behind it), emt, ase:MODULE:CALLABLE or ase:FILE.py:CALLABLE"
    )


def parse_surrogate(words: str, arguments: str | None) -> Spec[Surrogate]:
    """``chgnet`` (``chgnet:MODEL``), ``toy``, ``ase:…``.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    kind, _, rest = words.partition(":")
    given = _json_object("--surrogate-args", arguments)
    if kind == "ase" and rest:
        return AseSurrogateSpec(rest, given)
    if kind == "chgnet":
        return CHGNetSpec(**({"model": rest} if rest else {}), **given)
    if words == "toy":
        return ToySpec(**given)
    raise ValueError(
        f"--surrogate is {words!r} but must be chgnet, chgnet:MODEL, toy, ase:MODULE:CALLABLE or "
        "ase:FILE.py:CALLABLE"
    )


def parse_tuner(words: str, arguments: str | None) -> TunerSpec:
    """``gp``, ``gradient`` or ``gradient+gp``; arguments by tuner: ``{"gp": {"length": 0.8}}``.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    kinds: dict[str, type[GradientSpec] | type[ResidualGPSpec]]
    kinds = {"gp": ResidualGPSpec, "gradient": GradientSpec}
    given = _json_object("--tuner-args", arguments)
    names = words.split("+")
    for name in (*names, *given):
        if name not in kinds:
            raise ValueError(f"tuner {name!r} is not one of {', '.join(kinds)}")
    tuners: list[TunerSpec] = [kinds[name](**given.get(name, {})) for name in names]
    return tuners[0] if len(tuners) == 1 else StackSpec(tuple(tuners))


@dataclass(frozen=True)
class Words:
    """What was said on the command line about how to relax."""

    surrogate: str
    surrogate_args: str | None
    tuner: str
    tuner_args: str | None
    parent: str
    parent_args: str | None
    criterion: str | None
    optimizer: str
    fmax: float
    limits: Limits
    tags: tuple[str, ...]

    def makers(self, methods: Sequence[str]) -> list[RelaxMaker]:
        """The Maker of each method.

        Raises
        ------
        ValueError
            If a word is not one that is known; the message names those that are.
        """
        fields = {
            "surrogate": parse_surrogate(self.surrogate, self.surrogate_args),
            "tuner": parse_tuner(self.tuner, self.tuner_args),
            "parent": parse_parent(self.parent, self.parent_args),
            "optimizer": self.optimizer,
            "fmax": self.fmax,
            "limits": self.limits,
            "tags": self.tags,
        }
        if self.criterion is not None:
            fields["criterion"] = parse_criterion(self.criterion)
        return [make_maker(method, fields) for method in methods]


def make_maker(method: str, fields: Mapping[str, Any]) -> RelaxMaker:
    """The Maker of a method, with those of `fields` that it has.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    if method == "online":
        return OnlineRelaxMaker(name=method, **fields)
    shared = {key: fields[key] for key in ("parent", "fmax", "limits", "tags")}
    if method == "warm-start":
        walker = {key: fields[key] for key in ("surrogate", "optimizer")}
        return WarmStartMaker(name=method, **walker, **shared)
    names = {name.lower(): name for name in ON_THE_PARENT}
    if method.lower() in names:
        name = names[method.lower()]
        return ParentRelaxMaker(name=name, optimizer=name, **shared)
    raise ValueError(f"method is {method!r} but must be one of {', '.join(METHODS)}")


def _json_object(option: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"{option} is {text!r} but must be a JSON object: {exc}") from exc
    if not isinstance(value, dict):
        raise ValueError(f'{option} is {text!r} but must be a JSON object like {{"name": 1}}')
    return value
