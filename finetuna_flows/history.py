"""The steps of a relaxation under way, and quick answers to what criteria and tuners ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

from ase import Atoms

from finetuna_flows.geometry import Mask, free_components, moved
from finetuna_flows.records import Frame, Step


@dataclass
class History(Sequence[Step]):
    """The steps so far, and quick answers to what criteria and tuners ask of them."""

    start: Atoms
    """The geometry as it was given, with its constraints."""
    _steps: list[Step] = field(default_factory=list)
    _frames: list[Frame] = field(default_factory=list)
    _labelled: list[int] = field(default_factory=list)

    @cached_property
    def free(self) -> Mask:
        """Which components may move, shape (n, 3)."""
        return free_components(self.start)

    def append(self, step: Step) -> None:
        """Add the newest step."""
        if step.label is not None:
            self._labelled.append(len(self._steps))
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
    def steps_since_label(self) -> int:
        """Steps after the newest label; all steps before the first."""
        return len(self._steps) - (self._labelled[-1] + 1 if self._labelled else 0)

    @property
    def parent_calls(self) -> int:
        """Labels asked of the parent, replayed ones included."""
        return len(self._labelled)

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return self._steps[index]
