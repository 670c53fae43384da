"""The steps of a relaxation under way, and quick answers to what criteria and tuners ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array, Mask, fmax, free_components, moved
from finetuna_flows.records import Frame, Step
from finetuna_flows.ties import first_lowest

SAME_ENERGY = 2e-3
"""eV; about what the noise of a parent's energies may make of two equal ones."""
SAME_FMAX = 1e-6
"""eV/Å; of labels that differ by less, as those of geometries equal by symmetry, the oldest is the
best."""


@dataclass
class History(Sequence[Step]):
    """The steps so far, and quick answers to what criteria and tuners ask of them."""

    start: Atoms
    """The geometry as it was given, with its constraints."""
    returns_to_best: bool = False
    """Whether a label worse than the best one sends the optimizer back to the best."""
    _steps: list[Step] = field(default_factory=list)
    _frames: list[Frame] = field(default_factory=list)
    _labelled: list[int] = field(default_factory=list)
    _best: Step | None = None
    _at: dict[bytes, Step] = field(default_factory=dict)
    _repeated: bool = False

    @cached_property
    def free(self) -> Mask:
        """Which components may move, shape (n, 3)."""
        return free_components(self.start)

    def append(self, step: Step) -> None:
        """Add the newest step."""
        if step.label is not None:
            self._labelled.append(len(self._steps))
            key = step.positions.tobytes()
            self._repeated = key in self._at
            self._at.setdefault(key, step)
            self._best = self._choose_best(step)
            self._frames.append(Frame(self.at(step), step.label))
        self._steps.append(step)

    def at(self, step: Step) -> Atoms:
        """The structure at a step, with constraints and without calculator."""
        return moved(self.start, step.positions)

    @property
    def frames(self) -> Sequence[Frame]:
        """The labelled geometries, oldest first."""
        return self._frames

    @property
    def last_labelled(self) -> Step | None:
        """The newest step with a label; None before the first."""
        return self._steps[self._labelled[-1]] if self._labelled else None

    @property
    def best_labelled(self) -> Step | None:
        """The labelled step that is nearest to a minimum; None before the first label.

        It has the lowest energy; of those within `SAME_ENERGY` of the lowest, the smallest fmax; of
        those within `SAME_FMAX` of that, it is the oldest.
        Energies are those that the forces belong to.
        """
        return self._best

    def labelled_at(self, positions: Array) -> Step | None:
        """The first labelled step at just these positions (Å, shape (n, 3)), if there is one."""
        return self._at.get(np.ascontiguousarray(positions, dtype=np.float64).tobytes())

    @property
    def origin(self) -> Step | None:
        """The labelled step from which the optimizer moves on; None before the first label.

        A way that led from the best label to a known one would do so again, so then the
        optimizer goes on from there.
        """
        if self.returns_to_best and not self._repeated:
            return self.best_labelled
        return self.last_labelled

    @property
    def steps_since_label(self) -> int:
        """Steps after the newest label; all steps before the first."""
        return len(self._steps) - (self._labelled[-1] + 1 if self._labelled else 0)

    @property
    def parent_calls(self) -> int:
        """Labels asked of the parent, replayed ones included."""
        return len(self._labelled)

    def _choose_best(self, newest: Step) -> Step:
        """The best of the labels, the newest one included; it is not among the steps yet."""
        labels = [*(self._steps[index] for index in self._labelled[:-1]), newest]
        energies = [step.label.force_energy for step in labels if step.label]
        lowest = min(energies)
        close = [s for s, e in zip(labels, energies, strict=True) if e <= lowest + SAME_ENERGY]
        return close[first_lowest([fmax(s.forces, self.free) for s in close], SAME_FMAX)]

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return self._steps[index]
