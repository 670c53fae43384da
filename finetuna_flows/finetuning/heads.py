"""Which weights of a surrogate move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import islice

from torch.nn import Parameter

from finetuna_flows.protocols import TrainableSurrogate

_SHOWN = 5  # names in an error


def head_names(surrogate: TrainableSurrogate, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of the parameters that match at least one of the patterns.

    Parameters
    ----------
    surrogate
        Whose parameters are meant.
    patterns
        With ``*`` and ``?`` as in file names; upper and lower case differ.

    Raises
    ------
    ValueError
        If there is no pattern, or one matches no parameter.
    """
    if not patterns:
        raise ValueError(
            "`head` is empty but must name at least 1 parameter; None: the model's own"
        )
    names = [name for name, _ in surrogate.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"`head` holds {pattern!r}, which matches none of the {len(names)} parameters, "
                f"among them {', '.join(islice(reversed(names), _SHOWN))}"
            )
    return tuple(n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns))


@contextmanager
def only_trainable(
    surrogate: TrainableSurrogate, names: Sequence[str]
) -> Iterator[list[Parameter]]:
    """Let the named parameters alone gather gradients; afterwards all is as it was before."""
    named = dict(surrogate.named_parameters())
    before = {name: weight.requires_grad for name, weight in named.items()}
    try:
        for name, weight in named.items():
            weight.requires_grad_(name in names)
        yield [named[name] for name in names]
    finally:
        for name, weight in named.items():
            weight.requires_grad_(before[name])
            weight.grad = None
