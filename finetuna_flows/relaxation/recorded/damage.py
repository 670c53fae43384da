"""The boundary to ASE's readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finetuna_flows.errors import ParentError, said_by


@contextmanager
def reading_with_ase(words: Callable[[], str]) -> Iterator[None]:
    """Turn whatever ASE raises inside into a ParentError.

    Its readers do not check what they read, so a broken file ends them wherever it does not fit:
    in an IndexError, a struct.error, a RuntimeError, an AssertionError, and more with each format.
    No list of these would be whole.

    Parameters
    ----------
    words
        What was read, and that it cannot be; asked for only then.

    Raises
    ------
    ParentError
        With these words and the reason, which is never empty.
    """
    try:
        yield
    except Exception as exc:
        raise ParentError(f"{words()}: {said_by(exc)}") from exc
