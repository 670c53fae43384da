"""From the words of the command line to Makers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from finetuna_flows.cli.parse import (
    parse_parent,
    parse_surrogate,
    parse_tuner,
    parse_vasp_inputs,
)
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.finetuning.specs import (
    EnsembleTunerSpec,
    GradientSpec,
    LastLayerSpec,
    StackSpec,
)
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.compare import AnyRelaxMaker
from finetuna_flows.flows.imported import ImportedRelaxMaker
from finetuna_flows.flows.presets import DEFAULT, PRESETS, preset
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.protocols import ParentCalculator, Spec, TunerSpec
from finetuna_flows.queries.parse import parse_criterion
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.optimizers import ON_THE_PARENT
from finetuna_flows.surrogates.specs import EnsembleSpec

METHODS = ("online", *PRESETS, "warm-start", *ON_THE_PARENT, "vasp-cg", "vasp:PATH")
"""``online`` is the default preset by its old name; ``vasp:PATH`` imports what VASP left there."""


EMBEDDED = "embedded"
"""The parent where none is named."""
DEFAULT_FMAX = 0.03
"""eV/Å; OC20's and the FINETUNA paper's."""


@dataclass(frozen=True)
class Words:
    """What was said on the command line about how to relax; None: as the method has it."""

    parent: str | None = None
    surrogate: str | None = None
    surrogate_args: str | None = None
    tuner: str | None = None
    tuner_args: str | None = None
    parent_args: str | None = None
    criterion: str | None = None
    optimizer: str | None = None
    fmax: float | None = None
    limits: Limits = field(default_factory=Limits)
    tags: tuple[str, ...] = ()
    vasp_inputs: Path | None = None
    """Folder whose settings VASP takes, instead of a parent with arguments."""
    placement: Placement = field(default_factory=Placement)
    """Which process the parent has."""

    def makers(self, methods: Sequence[str]) -> list[AnyRelaxMaker]:
        """The Maker of each method.

        Raises
        ------
        ValueError
            If a word is not one that is known; the message names those that are. If there are
            arguments but not the word that they belong to.
        """
        for word in ("surrogate", "tuner"):
            check_said(word, getattr(self, word), getattr(self, f"{word}_args"))
        parent, fmax, _ = self._parent
        fields: dict[str, Any] = {
            "parent": parent,
            "fmax": fmax,
            "limits": self.limits,
            "tags": self.tags,
            "placement": self.placement,
        }
        if self.surrogate is not None:
            fields["surrogate"] = parse_surrogate(self.surrogate, self.surrogate_args)
        if self.tuner is not None:
            fields["tuner"] = parse_tuner(self.tuner, self.tuner_args)
        if self.optimizer is not None:
            fields["optimizer"] = self.optimizer
        if self.criterion is not None:
            fields["criterion"] = parse_criterion(self.criterion)
        return [make_maker(method, fields) for method in methods]

    @property
    def threshold(self) -> str:
        """In one line, how far the forces are to fall, and who says so."""
        _, fmax, source = self._parent
        return f"to fmax {fmax:g} eV/Å ({source})"

    @cached_property
    def _parent(self) -> tuple[Spec[ParentCalculator], float, str]:
        """The parent, eV/Å to reach, and who says that."""
        if self.vasp_inputs is None:
            parent, own = parse_parent(self.parent or EMBEDDED, self.parent_args), None
        else:
            parent, own = parse_vasp_inputs(self.vasp_inputs, self.parent, self.parent_args)
        if self.fmax is not None:
            return parent, self.fmax, "--fmax"
        if own is not None:
            return parent, own, "EDIFFG of INCAR"
        return parent, DEFAULT_FMAX, "the default"


def check_said(word: str, said: str | None, arguments: str | None) -> None:
    """Refuse arguments of a part that was not named.

    Raises
    ------
    ValueError
        If there are arguments but not the word that they belong to.
    """
    if arguments is not None and said is None:
        raise ValueError(
            f"--{word}-args is {arguments!r} but --{word} is missing, and arguments do not "
            f"change the default {word}; say which one with --{word}"
        )


def make_maker(method: str, fields: Mapping[str, Any]) -> AnyRelaxMaker:
    """The Maker of a method, with those of `fields` that it has.

    Where the surrogate is an ensemble, tuners that need weights reach every member.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    if method == "online" or method in PRESETS:
        maker = preset(DEFAULT if method == "online" else method)
        said = {"surrogate": maker.surrogate, "tuner": maker.tuner, **fields}
        if isinstance(said["surrogate"], EnsembleSpec):
            said["tuner"] = for_members(said["tuner"])
        return replace(maker, name=method, **said)
    shared = {key: fields[key] for key in ("parent", "fmax", "limits", "tags", "placement")}
    if method == "warm-start":
        walker = {key: fields[key] for key in ("surrogate", "optimizer") if key in fields}
        return WarmStartMaker(name=method, **walker, **shared)
    existing = {key: fields[key] for key in ("fmax", "tags")}
    if method == "vasp-cg":
        parent = fields["parent"]
        if isinstance(parent, VaspParentSpec):
            existing["input_set_generator"] = parent.input_set_generator
        return VaspCgMaker(name=method, **existing)
    kind, _, path = method.partition(":")
    if kind == "vasp" and path:
        return ImportedRelaxMaker(name=f"{kind}:{Path(path).name}", path=path, **existing)
    names = {name.lower(): name for name in ON_THE_PARENT}
    if method.lower() in names:
        name = names[method.lower()]
        return ParentRelaxMaker(name=name, optimizer=name, **shared)
    raise ValueError(f"method is {method!r} but must be one of {', '.join(METHODS)}")


def for_members(tuner: TunerSpec) -> TunerSpec:
    """The tuner for an ensemble: what needs weights, and what stands before it, for each member."""
    tuners = tuner.tuners if isinstance(tuner, StackSpec) else (tuner,)
    count = 1 + max(
        (i for i, each in enumerate(tuners) if isinstance(each, GradientSpec | LastLayerSpec)),
        default=-1,
    )
    if not count:
        return tuner
    inner = tuners[0] if count == 1 else StackSpec(tuners[:count])
    stacked = (EnsembleTunerSpec((inner,)), *tuners[count:])
    return stacked[0] if len(stacked) == 1 else StackSpec(stacked)
