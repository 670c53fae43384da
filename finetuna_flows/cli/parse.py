"""From words of the command line to specs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from finetuna_flows.calculators import load_callable
from finetuna_flows.colocation.specs import IpiParentSpec, TwinParentSpec
from finetuna_flows.colocation.twins import Meeting
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
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
    InputSetGenerator,
    TbliteParentSpec,
    VaspParentSpec,
)
from finetuna_flows.protocols import ParentCalculator, Spec, Surrogate, TunerSpec
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    CHGNetSpec,
    EnsembleSpec,
    FairchemSpec,
    NuclearSpec,
    SavedSpec,
    SevenNetSpec,
    ToySpec,
)

ENGINES: Mapping[str, Callable[..., Spec[ParentCalculator]]] = {
    "embedded": EmbeddedParentSpec,
    "gpaw": GpawParentSpec,
    "tblite": TbliteParentSpec,
}
PLAIN: Mapping[str, Callable[..., Spec[Surrogate]]] = {"nuclear": NuclearSpec, "toy": ToySpec}
Made = TypeVar("Made")
TUNERS: Mapping[str, Callable[..., TunerSpec]] = {
    "gp": ResidualGPSpec,
    "gradient": GradientSpec,
    "last-layer": LastLayerSpec,
    "curvature": CurvatureSpec,
}


def parse_parent(words: str, arguments: str | None) -> Spec[ParentCalculator]:
    """What `options.Parent` lists.

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
        said = {"continuation": Continuation(rest)} if rest else {}
        return _made("--parent-args", ENGINES[kind], given, said)
    if kind == "vasp" and rest in ("", *Continuation):
        said = {"continuation": Continuation(rest)} if rest else {}
        return VaspParentSpec(_input_set(given), **said)
    if words == "ipi":
        if missing := [each for each in ("command", "calculator") if each not in given]:
            raise ValueError(
                f"--parent is ipi but --parent-args lacks {' and '.join(missing)}; say "
                '{"command": "pw.x -in espresso.pwi --ipi {name}:UNIX", "calculator": '
                '"finetuna_flows.colocation.espresso:espresso", "arguments": {…}}'
            )
        return _made("--parent-args", IpiParentSpec, given, {})
    if kind == "twin" and rest:
        return _made("--parent-args", TwinParentSpec, given, {"meeting": Meeting(key=rest)})
    if words == "emt":
        return AseParentSpec("ase.calculators.emt:EMT", given)
    raise ValueError(
        f"--parent is {words!r} but must be one of {', '.join(ENGINES)}, vasp (with :cold, "
        ":restart or :kept behind it), emt, ipi, twin:NAME, ase:MODULE:CALLABLE or "
        "ase:FILE.py:CALLABLE"
    )


def parse_vasp_inputs(
    folder: Path, parent: str | None, arguments: str | None
) -> tuple[Spec[ParentCalculator], float | None]:
    """VASP with the settings of a folder, and the fmax in eV/Å that its EDIFFG says, if it does.

    Raises
    ------
    ValueError
        If the folder lacks a file, asks for something else than a relaxation, or another parent was
        named beside it.
    """
    from finetuna_flows.parents.vasp.folder import VaspFolder

    kind, _, rest = (parent or "vasp").partition(":")
    if kind != "vasp" or rest not in ("", *Continuation):
        raise ValueError(
            f"--parent is {parent} but --vasp-inputs means VASP; leave it out, or say vasp:cold, "
            "vasp:restart or vasp:kept"
        )
    given = json_object("--parent-args", arguments)
    said = {"continuation": Continuation(rest)} if rest else {}
    settings = _made("--parent-args", VaspFolder, given, {"folder": str(folder)})
    return VaspParentSpec(settings, **said), settings.fmax


def _input_set(given: dict[str, Any]) -> InputSetGenerator:
    """OC20's input set with the arguments of atomate2's generators, or another generator."""
    from finetuna_flows.parents.vasp.sets import OC20SetGenerator

    target = given.pop("input_set_generator", None)
    kind: Callable[..., InputSetGenerator] = OC20SetGenerator
    if target is not None:
        kind = load_callable(str(target))
    if hasattr(kind, "__dataclass_fields__"):
        return _made("--parent-args", kind, given, {})
    return _clear("--parent-args", lambda: kind(**given))


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
        count, scale = given.pop("count", 4), given.pop("scale", None)
        single = _single_surrogate(rest, given)
        return _clear("--surrogate-args", lambda: EnsembleSpec.of_heads(single, count, scale))
    return _single_surrogate(words, given)


def _single_surrogate(words: str, given: Mapping[str, Any]) -> Spec[Surrogate]:
    kind, _, rest = words.partition(":")
    if kind == "ase" and rest:
        return AseSurrogateSpec(rest, given)
    option = "--surrogate-args"
    if kind == "chgnet":
        return _made(option, CHGNetSpec, given, {"model": rest} if rest else {})
    if kind == "fairchem" and rest:
        if "task" not in given:
            raise ValueError(
                f"--surrogate {words} needs the level of theory that is meant; "
                """say for example --surrogate-args '{"task": "oc20"}'"""
            )
        return _made(option, FairchemSpec, given, {"model": rest})
    if kind == "sevennet":
        return _made(option, SevenNetSpec, given, {"model": rest} if rest else {})
    if kind == "saved" and rest:
        return _made(option, SavedSpec, given, {"name": rest})
    if words in PLAIN:
        return _made(option, PLAIN[words], given, {})
    raise ValueError(
        f"--surrogate is {words!r} but must be chgnet, chgnet:MODEL, sevennet, "
        "sevennet:MODEL, fairchem:NAME, fairchem:FILE, saved:NAME, ensemble: before one of "
        "these, nuclear, toy, ase:MODULE:CALLABLE or ase:FILE.py:CALLABLE"
    )


def parse_tuner(words: str, arguments: str | None) -> TunerSpec:
    """``gp``, ``gradient``, ``last-layer``, ``curvature``, stacked with ``+``.

    Arguments by tuner: ``{"gp": {"length": 0.8}}``.

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
    if unused := set(given) - set(names):
        raise ValueError(
            f"--tuner-args is for {', '.join(sorted(unused))} but --tuner is {words}; "
            "leave it out, or name the tuner"
        )
    tuners = [_tuner(name, given.get(name, {})) for name in names]
    return tuners[0] if len(tuners) == 1 else StackSpec(tuple(tuners))


def _tuner(name: str, given: object) -> TunerSpec:
    if not isinstance(given, dict):
        raise ValueError(
            f"--tuner-args has {given!r} for {name} but must have a JSON object, as in "
            f'{{"{name}": {{"{_names(TUNERS[name])[0]}": …}}}}'
        )
    return _made(f"--tuner-args for {name}", TUNERS[name], given, {})


def _made(
    option: str, kind: Callable[..., Made], given: Mapping[str, Any], said: Mapping[str, Any]
) -> Made:
    """Make a spec of what its own word said and of the arguments that were given."""
    free = [name for name in _names(kind) if name not in said]
    if wrong := [name for name in given if name not in free]:
        raise ValueError(
            f"{option} has {', '.join(wrong)} but may have only {', '.join(free) or 'nothing'} "
            "beside what is said already"
        )
    return _clear(option, lambda: kind(**said, **given))


def _clear(option: str, make: Callable[[], Made]) -> Made:
    """Turn a TypeError, which a value of the wrong type causes, into a refusal of the option."""
    try:
        return make()
    except TypeError as exc:
        raise ValueError(f"{option} has a value of the wrong type: {exc}") from exc


def _names(kind: Any) -> list[str]:
    return [each.name for each in fields(kind)]


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
