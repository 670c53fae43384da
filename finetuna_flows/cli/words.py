"""From the words of the command line to Makers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from finetuna_flows.cli.parse import parse_parent, parse_surrogate, parse_tuner
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.presets import DEFAULT, PRESETS, preset
from finetuna_flows.queries.parse import parse_criterion
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.optimizers import ON_THE_PARENT
from finetuna_flows.surrogates.specs import EnsembleSpec

METHODS = ("online", *PRESETS, "warm-start", *ON_THE_PARENT)
"""``online`` is the default preset by its old name."""


@dataclass(frozen=True)
class Words:
    """What was said on the command line about how to relax; None: as the method has it."""

    parent: str
    surrogate: str | None = None
    surrogate_args: str | None = None
    tuner: str | None = None
    tuner_args: str | None = None
    parent_args: str | None = None
    criterion: str | None = None
    optimizer: str | None = None
    fmax: float = 0.03
    limits: Limits = field(default_factory=Limits)
    tags: tuple[str, ...] = ()

    def makers(self, methods: Sequence[str]) -> list[RelaxMaker]:
        """The Maker of each method.

        Raises
        ------
        ValueError
            If a word is not one that is known; the message names those that are.
        """
        fields: dict[str, Any] = {
            "parent": parse_parent(self.parent, self.parent_args),
            "fmax": self.fmax,
            "limits": self.limits,
            "tags": self.tags,
        }
        if self.surrogate is not None or self.surrogate_args is not None:
            fields["surrogate"] = parse_surrogate(self.surrogate or "chgnet", self.surrogate_args)
        if self.tuner is not None or self.tuner_args is not None:
            members = isinstance(fields.get("surrogate"), EnsembleSpec)
            fields["tuner"] = parse_tuner(self.tuner or "gp", self.tuner_args, ensemble=members)
        if self.optimizer is not None:
            fields["optimizer"] = self.optimizer
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
    if method == "online" or method in PRESETS:
        return replace(preset(DEFAULT if method == "online" else method), name=method, **fields)
    shared = {key: fields[key] for key in ("parent", "fmax", "limits", "tags")}
    if method == "warm-start":
        walker = {key: fields[key] for key in ("surrogate", "optimizer") if key in fields}
        return WarmStartMaker(name=method, **walker, **shared)
    names = {name.lower(): name for name in ON_THE_PARENT}
    if method.lower() in names:
        name = names[method.lower()]
        return ParentRelaxMaker(name=name, optimizer=name, **shared)
    raise ValueError(f"method is {method!r} but must be one of {', '.join(METHODS)}")
