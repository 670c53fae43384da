"""Which frames are learned from together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

PickBatches = Callable[[Sequence[int], int, np.random.Generator], Sequence[Sequence[int]]]
"""From the system of each training frame, the size of a batch and a generator to the frames of
each batch of one epoch."""


def shuffled(
    systems: Sequence[int], size: int, rng: np.random.Generator
) -> Sequence[Sequence[int]]:
    """Every frame once, in random order, whatever system it is of."""
    order = rng.permutation(len(systems)).tolist()
    return [order[start : start + size] for start in range(0, len(order), size)]


def paired(systems: Sequence[int], size: int, rng: np.random.Generator) -> Sequence[Sequence[int]]:
    """Every frame once, two or three of one system at a time and several such in a batch.

    A batch has about `size` frames. The frame of a system that has no other stays alone.
    """
    numbers, groups = np.array(systems), []
    for system in np.unique(numbers):
        own = rng.permutation(np.flatnonzero(numbers == system))
        groups += [part.tolist() for part in np.array_split(own, max(1, len(own) // 2))]
    order = rng.permutation(len(groups)).tolist()
    each = max(1, size // 2)
    return [
        [number for index in order[start : start + each] for number in groups[index]]
        for start in range(0, len(order), each)
    ]
