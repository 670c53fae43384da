"""The default parent for those who have no VASP: which engines work here, and the first of them."""

from __future__ import annotations

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import Continuation, GpawParentSpec, TbliteParentSpec
from finetuna_flows.protocols import ParentCalculator

ENGINES: dict[str, type[GpawParentSpec] | type[TbliteParentSpec]] = {
    "gpaw": GpawParentSpec,
    "tblite": TbliteParentSpec,
}
"""Best first."""


def embedded_engines() -> dict[str, str | None]:
    """Each engine, best first, with None if it works here, else the reason and the remedy."""
    return {name: _complaint(name) for name in ENGINES}


def build_embedded(engine: str, continuation: Continuation) -> ParentCalculator:
    """Build the named engine, or for ``auto`` the first one that works here.

    Raises
    ------
    ParentError
        If it, or each of them, is missing; the message says how to install it.
    ValueError
        If there is no engine of that name, or it has no such continuation.
    """
    if engine == "auto":
        reasons = embedded_engines()
        working = [name for name, reason in reasons.items() if reason is None]
        if not working:
            missing = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise ParentError(f"no embedded parent works here. {missing}")
        engine = working[0]
    if engine not in ENGINES:
        raise ValueError(f"`engine` is {engine!r} but must be {', '.join(ENGINES)} or auto")
    return ENGINES[engine](continuation=continuation).build()


def _complaint(name: str) -> str | None:
    try:
        ENGINES[name]().build()
    except ParentError as exc:
        return str(exc)
    return None
