"""How much a relaxation may spend."""

from __future__ import annotations

from dataclasses import dataclass

from monty.json import MSONable

from finetuna_flows.history import History
from finetuna_flows.reasons import StopReason


@dataclass(frozen=True)
class Limits(MSONable):
    """What ends a relaxation that does not converge. A resumed run may have larger ones."""

    max_steps: int = 2000
    """Geometries, predicted and labelled ones alike. The default is the NSW of OC20's relaxations
    (Chanussot et al., ACS Catal. 11, 6059 (2021))."""
    max_parent_calls: int | None = None
    """Labels, those of an interrupted run included; None: as many as it takes."""
    max_wall_time: float | None = None
    """Seconds from the start of this process's part of the run. No label is begun that would
    overrun it if it took as long as the longest so far. None: as long as it takes."""

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_parent_calls", "max_wall_time"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` is {value} but must be positive")

    def exceeded(self, past: History, elapsed: float) -> StopReason | None:
        """Which limit `past` has reached after `elapsed` seconds, if any."""
        if self.max_parent_calls is not None and past.parent_calls >= self.max_parent_calls:
            return StopReason.MAX_PARENT_CALLS
        if len(past) >= self.max_steps:
            return StopReason.MAX_STEPS
        if self.max_wall_time is not None:
            longest = max((frame.label.wall_time for frame in past.frames), default=0.0)
            if elapsed + longest > self.max_wall_time:
                return StopReason.MAX_WALL_TIME
        return None
