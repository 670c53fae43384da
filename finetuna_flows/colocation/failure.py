"""What went wrong at the parent's, as JSON, and the same exception again at the learner's."""

from __future__ import annotations

from finetuna_flows.colocation.ipi import Json
from finetuna_flows.errors import (
    AbsentError,
    CheckpointError,
    ElementError,
    ParentError,
    PeerError,
    ProtocolError,
    StructureError,
)

KINDS = {
    kind.__name__: kind
    for kind in (
        AbsentError,
        CheckpointError,
        ElementError,
        PeerError,
        ProtocolError,
        StructureError,
        TypeError,
        ValueError,
    )
}
"""Raised as what they are; everything else is the parent's failure."""


def encode_failure(error: BaseException) -> Json:
    """Keep its kind and its words."""
    words = str(error) or type(error).__name__
    if not isinstance(error, (ParentError, *KINDS.values())):
        words = f"{type(error).__name__}: {words}"
    return {
        "error": words,
        "kind": type(error).__name__,
        "retryable": bool(getattr(error, "retryable", False)),
    }


def check_failure(said: Json) -> None:
    """Raise what `said` holds, if it is a failure.

    Raises
    ------
    ParentError, PeerError, ElementError, StructureError, CheckpointError, ValueError, TypeError
        As it was raised there.
    """
    if "error" not in said:
        return
    words, kind = str(said["error"]), KINDS.get(str(said.get("kind")))
    if kind is not None:
        raise kind(words)
    raise ParentError(words, retryable=said.get("retryable") is True)
