"""Surrogates that differ in the head alone, and what they predict of one geometry together."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from ase import Atoms
from torch import Tensor

from finetuna_flows.protocols import BranchingSurrogate, Surrogate, TrainableSurrogate
from finetuna_flows.records import Prediction


def predict_each(surrogates: Sequence[Surrogate], atoms: Atoms) -> list[Prediction]:
    """What each of them predicts; those that share a backbone pass the geometry through it once.

    Where one shares it with no other, it is asked by itself. Who shares is looked up anew at
    every call, since anybody may have trained one of them.

    Raises
    ------
    SurrogateError
        If one of them refuses the geometry.
    """
    said: dict[int, Prediction] = {}
    for first, surrogate in enumerate(surrogates):
        if first in said:
            continue
        sharing = {
            index: other
            for index, other in enumerate(surrogates)
            if index > first
            and index not in said
            and isinstance(other, BranchingSurrogate)
            and other.shares_backbone(surrogate)
        }
        if sharing and isinstance(surrogate, BranchingSurrogate):
            passed = surrogate.pass_backbone(atoms)
            said[first] = surrogate.predict_head(passed)
            said |= {index: other.predict_head(passed) for index, other in sharing.items()}
        else:
            said[first] = surrogate.predict(atoms)
    return [said[index] for index in range(len(surrogates))]


def same_below_head(one: TrainableSurrogate, other: TrainableSurrogate) -> bool:
    """Whether all weights but those of the two heads are equal, number by number.

    They are compared, 1 ms for two of CHGNet's 0.4 million, and not merely watched: torch's fused
    optimizers change weights without counting that up in their ``_version``.
    """
    mine, others = _below_head(one), _below_head(other)
    return mine.keys() == others.keys() and all(
        weight is others[name]
        or (weight.dtype == others[name].dtype and torch.equal(weight, others[name]))
        for name, weight in mine.items()
    )


def _below_head(surrogate: TrainableSurrogate) -> dict[str, Tensor]:
    return {
        name: weight
        for name, weight in surrogate.named_parameters()
        if not any(fnmatchcase(name, pattern) for pattern in surrogate.head)
    }
