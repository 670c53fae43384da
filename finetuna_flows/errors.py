"""What can go wrong, and whether trying again can help.

::

    FinetunaError
    ├── StructureError      the structure cannot be relaxed as given          (also a ValueError)
    │   └── ElementError    an element that the surrogate or the parent lacks
    ├── ParentError         the parent gave no usable label
    ├── PeerError           the other half of a co-located run is gone, silent, or cannot be reached
    │   ├── AbsentError     it did not come, or say anything, in time
    │   └── ProtocolError   what it says is not what the protocol expects
    ├── SurrogateError      the surrogate gave no usable prediction
    ├── FineTuningError     learning from the labels failed
    ├── CheckpointError     a run directory does not belong to this run
    └── StoreError          results could not be written or found

A wrong argument of a function or a spec is a plain ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

import traceback
from pathlib import Path

UNSPOKEN = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)
"""Errors in which code ends that met what it did not expect; their words alone say little."""
SHOWN = 60
"""Characters of a line of code that are shown."""


def said_by(error: BaseException) -> str:
    """What an error of other code says of its reason, on one line and never empty.

    Where it says nothing, or one word alone, its kind and the line of code that it comes from are
    the reason.
    """
    cause = error.__cause__
    if isinstance(error, RuntimeError) and isinstance(cause, StopIteration):
        error = cause  # Python renames what ends a generator
    said = " ".join(str(error).split())
    if isinstance(error, StopIteration | EOFError):
        said = said or "it ends where more is expected"
    if isinstance(error, KeyError):
        said = f"there is no {said}"
    if " " in said and not isinstance(error, UNSPOKEN):
        return said
    kind = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    code = (frames[-1].line or "")[:SHOWN] if frames else ""
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}, `{code}`" if code else ""
    return f"{said} ({kind}{place})" if said else f"{kind}{place}"


class FinetunaError(Exception):
    """Anything this package refuses or fails to do."""

    retryable: bool = False
    """Whether the same call may succeed when it is tried again."""


class StructureError(FinetunaError, ValueError):
    """The structure cannot be relaxed as given; the message says what to change."""


class ElementError(StructureError):
    """The structure holds elements that the surrogate or the parent does not know."""


class ParentError(FinetunaError):
    """The parent gave no usable label (it crashed, did not converge, or returned nonsense).

    Parameters
    ----------
    message
        What happened, with the engine's own words where it has some.
    retryable
        Whether asking again can help: true for a crash of the machine, false for an
        electronic structure that does not converge.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class PeerError(FinetunaError):
    """The other half of a co-located run is gone, silent, or cannot be reached."""

    retryable = True


class AbsentError(PeerError):
    """The other half did not come, or say anything, in time; it may be there still."""


class ProtocolError(PeerError):
    """What a peer says is not what the protocol expects, or it cannot prove who it is."""

    retryable = False


class SurrogateError(FinetunaError):
    """The surrogate gave no usable prediction; a broken model must not look certain."""


class FineTuningError(FinetunaError):
    """Learning from the labels failed; the labels themselves are safe on disk."""


class CheckpointError(FinetunaError):
    """A run directory is in use, damaged, or belongs to a run with another spec."""


class StoreError(FinetunaError):
    """Results could not be written to the store or found in it.

    Parameters
    ----------
    message
        What happened, with the name of the store.
    retryable
        Whether asking again can help: true where another process was in the way, false for a
        document that is too large or not there.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable
