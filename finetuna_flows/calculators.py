"""From a user's words to an ASE calculator: ``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from ase.calculators.calculator import BaseCalculator


def absolute(target: str) -> str:
    """Make a ``FILE.py:CALLABLE`` independent of the folder that a job runs in."""
    place, _, name = target.rpartition(":")
    return f"{Path(place).expanduser().resolve()}:{name}" if place.endswith(".py") else target


def content_key(target: str) -> str:
    """The beginning of the SHA-256 of the file that `target` names; empty for a module."""
    place, _, _ = target.rpartition(":")
    if not place.endswith(".py"):
        return ""
    return sha256(Path(place).expanduser().read_bytes()).hexdigest()[:8]


def load_calculator(target: str, arguments: Mapping[str, object]) -> BaseCalculator:
    """Call what `target` names with `arguments` and return the calculator it makes.

    Raises
    ------
    ValueError
        If `target` is not of the form, or names nothing that can be called.
    TypeError
        If the callable refuses `arguments` or returns something else than an ASE calculator.
    """
    factory = load_callable(target)
    try:
        calculator: BaseCalculator = factory(**arguments)
    except TypeError as exc:
        raise TypeError(f"{target} refuses the arguments {dict(arguments)}: {exc}") from exc
    # not every ASE calculator is one of ASE's classes: GPAW's is not
    if not all(hasattr(calculator, name) for name in ("get_potential_energy", "get_forces")):
        raise TypeError(
            f"{target} returned a {type(calculator).__name__} but must return an ASE calculator"
        )
    return calculator


def load_callable(target: str) -> Callable[..., Any]:
    """What ``MODULE:CALLABLE`` or ``FILE.py:CALLABLE`` names.

    Raises
    ------
    ValueError
        If `target` is not of the form, or names nothing that can be called.
    """
    place, colon, name = target.rpartition(":")
    if not (place and colon and name):
        raise ValueError(
            f"{target!r} must be MODULE:CALLABLE or FILE.py:CALLABLE, "
            "for example ase.calculators.emt:EMT"
        )
    factory: Callable[..., Any] | None = getattr(_module(place, target), name, None)
    if factory is None or not callable(factory):
        raise ValueError(f"{target!r} cannot be used: {place} has no callable {name!r}")
    return factory


def known_elements(calculator: BaseCalculator) -> frozenset[str] | None:
    """Symbols that an ASE calculator can handle, or None where it cannot be known beforehand.

    A calculator may say so itself in an attribute ``elements`` (a collection of symbols).
    """
    if type(calculator).__module__ == "ase.calculators.emt":
        from ase.calculators.emt import parameters

        return frozenset(parameters)
    stated = getattr(calculator, "elements", None)
    return frozenset(stated) if isinstance(stated, list | tuple | set | frozenset) else None


def _module(place: str, target: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ImportError as exc:
            raise ValueError(
                f"{target!r} cannot be used: module {place!r} cannot be imported: {exc}"
            ) from exc
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{target!r} cannot be used: {path} is not a file")
    spec = importlib.util.spec_from_file_location(f"calculator_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{target!r} cannot be used: {path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module
