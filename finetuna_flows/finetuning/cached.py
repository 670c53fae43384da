"""What enters a surrogate's head at the labels of a window, kept between updates."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol, runtime_checkable

from ase import Atoms

from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import BranchingSurrogate, CacheableSurrogate, FineTuner
from finetuna_flows.records import Frame


class HeadInputs:
    """Asks the surrogate once for each label, and again only after other weights have changed.

    Labels that are not asked for again are forgotten, so memory holds one window.

    Parameters
    ----------
    surrogate
        What makes the inputs of its own head.
    head
        Names of the parameters of the head, on which they do not depend.
    """

    def __init__(self, surrogate: CacheableSurrogate, head: Sequence[str]) -> None:
        self._surrogate = surrogate
        self._head = frozenset(head)
        self._kept: dict[bytes, object] = {}
        self._made_with = b""
        self._others: Sequence[HeadInputs] = ()

    def look_at(self, others: Sequence[HeadInputs]) -> None:
        """Take what one of the others keeps of a label, where it comes from the same backbone."""
        self._others = [other for other in others if other is not self]

    def read(self, frames: Sequence[Frame]) -> list[object]:
        """What `evaluate_head` takes, for each label."""
        weights = self._digest()
        known = self._kept if weights == self._made_with else {}
        self._made_with, self._kept = weights, {}
        for frame in frames:
            key = geometry_key(frame.atoms)
            if key not in self._kept:
                self._kept[key] = known[key] if key in known else self._make(key, frame.atoms)
        return [self._kept[geometry_key(frame.atoms)] for frame in frames]

    def _make(self, key: bytes, atoms: Atoms) -> object:
        """Take it from one of the others, or ask the surrogate."""
        for other in self._others:
            if key in other._kept and self._same_as(other):
                return other._kept[key]
        return self._surrogate.cache(self._surrogate.prepare(atoms), free_components(atoms))

    def _same_as(self, other: HeadInputs) -> bool:
        """Whether what the other keeps is what its surrogate, and this one, would make now."""
        return (
            self._made_with == other._made_with
            and isinstance(self._surrogate, BranchingSurrogate)
            and self._surrogate.shares_backbone(other._surrogate)
        )

    def _digest(self) -> bytes:
        """Of all weights that are not the head's."""
        digest = blake2b()
        for name, weight in self._surrogate.named_parameters():
            if name not in self._head:
                digest.update(weight.detach().cpu().contiguous().numpy().data)
        return digest.digest()


@runtime_checkable
class InputsReader(Protocol):
    """A tuner that keeps head inputs, or holds tuners that do."""

    @property
    def head_inputs(self) -> Sequence[HeadInputs]:
        """What it keeps; empty where it works without."""
        ...


def head_inputs(tuners: Sequence[FineTuner]) -> list[HeadInputs]:
    """All that the tuners keep."""
    readers = [tuner for tuner in tuners if isinstance(tuner, InputsReader)]
    return [inputs for reader in readers for inputs in reader.head_inputs]


def geometry_key(atoms: Atoms) -> bytes:
    """What tells one geometry and its free components from another."""
    parts = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, free_components(atoms))
    return b"".join(part.tobytes() for part in parts)
