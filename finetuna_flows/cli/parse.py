"""From words of the command line to specs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    LastLayerSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.parents.specs import (
    AseParentSpec,
    Continuation,
    EmbeddedParentSpec,
    GpawParentSpec,
    TbliteParentSpec,
)
from finetuna_flows.protocols import ParentCalculator, Spec, Surrogate, TunerSpec
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    CHGNetSpec,
    EnsembleSpec,
    FairchemSpec,
    NuclearSpec,
    SavedSpec,
    ToySpec,
)

ENGINES: dict[str, type[EmbeddedParentSpec] | type[GpawParentSpec] | type[TbliteParentSpec]] = {
    "embedded": EmbeddedParentSpec,
    "gpaw": GpawParentSpec,
    "tblite": TbliteParentSpec,
}
TUNERS: Mapping[str, type[Any]] = {
    "gp": ResidualGPSpec,
    "gradient": GradientSpec,
    "last-layer": LastLayerSpec,
    "curvature": CurvatureSpec,
}


def parse_parent(words: str, arguments: str | None) -> Spec[ParentCalculator]:
    """``embedded``, ``gpaw``, ``tblite`` (``:cold``, ``:restart``, ``:kept``), ``emt``, ``ase:…``.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    kind, _, rest = words.partition(":")
    given = json_object("--parent-args", arguments)
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
    """What `options.Surrogate` lists.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    kind, _, rest = words.partition(":")
    given = json_object("--surrogate-args", arguments)
    if kind == "ensemble" and rest:
        count = given.pop("count", 4)
        return EnsembleSpec.of_heads(_single_surrogate(rest, given), count)
    return _single_surrogate(words, given)


def _single_surrogate(words: str, given: Mapping[str, Any]) -> Spec[Surrogate]:
    kind, _, rest = words.partition(":")
    if kind == "ase" and rest:
        return AseSurrogateSpec(rest, given)
    if kind == "chgnet":
        return CHGNetSpec(**({"model": rest} if rest else {}), **given)
    if kind == "fairchem" and rest:
        if "task" not in given:
            raise ValueError(
                f"--surrogate {words} needs the level of theory that is meant; "
                """say for example --surrogate-args '{"task": "oc20"}'"""
            )
        return FairchemSpec(rest, **given)
    if kind == "saved" and rest:
        return SavedSpec(rest, **given)
    if words in ("nuclear", "toy"):
        return NuclearSpec(**given) if words == "nuclear" else ToySpec(**given)
    raise ValueError(
        f"--surrogate is {words!r} but must be chgnet, chgnet:MODEL, fairchem:NAME, "
        "fairchem:FILE, saved:NAME, ensemble: before one of these, nuclear, toy, "
        "ase:MODULE:CALLABLE or ase:FILE.py:CALLABLE"
    )


def parse_tuner(words: str, arguments: str | None, *, ensemble: bool = False) -> TunerSpec:
    """``gp``, ``gradient``, ``last-layer``, ``curvature``, stacked with ``+``.

    Arguments by tuner: ``{"gp": {"length": 0.8}}``. Of an `ensemble` every member is tuned.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    given = json_object("--tuner-args", arguments)
    names = words.split("+")
    for name in (*names, *given):
        if name not in TUNERS:
            raise ValueError(f"tuner {name!r} is not one of {', '.join(TUNERS)}")
    tuners: list[TunerSpec] = [TUNERS[name](**given.get(name, {})) for name in names]
    if ensemble:
        tuners = [EnsembleTunerSpec((t,)) if isinstance(t, GradientSpec) else t for t in tuners]
    return tuners[0] if len(tuners) == 1 else StackSpec(tuple(tuners))


def json_object(option: str, text: str | None) -> dict[str, Any]:
    """Arguments given as JSON; none where nothing was said.

    Raises
    ------
    ValueError
        If it is not a JSON object.
    """
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"{option} is {text!r} but must be a JSON object: {exc}") from exc
    if not isinstance(value, dict):
        raise ValueError(f'{option} is {text!r} but must be a JSON object like {{"name": 1}}')
    return value
