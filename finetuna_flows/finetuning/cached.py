"""What enters a surrogate's head at the labels of a window, kept between updates."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from ase import Atoms

from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import CacheableSurrogate
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

    def read(self, frames: Sequence[Frame]) -> list[object]:
        """What `evaluate_head` takes, for each label."""
        weights = self._digest()
        known = self._kept if weights == self._made_with else {}
        self._made_with, self._kept = weights, {}
        for frame in frames:
            key = geometry_key(frame.atoms)
            if key not in self._kept:
                self._kept[key] = known[key] if key in known else self._ask(frame.atoms)
        return [self._kept[geometry_key(frame.atoms)] for frame in frames]

    def _ask(self, atoms: Atoms) -> object:
        return self._surrogate.cache(self._surrogate.prepare(atoms), free_components(atoms))

    def _digest(self) -> bytes:
        """Of all weights that are not the head's."""
        digest = blake2b()
        for name, weight in self._surrogate.named_parameters():
            if name not in self._head:
                digest.update(weight.detach().cpu().contiguous().numpy().data)
        return digest.digest()


def geometry_key(atoms: Atoms) -> bytes:
    """What tells one geometry and its free components from another."""
    parts = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, free_components(atoms))
    return b"".join(part.tobytes() for part in parts)
