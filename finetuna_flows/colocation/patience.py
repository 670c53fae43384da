"""How long one half of a co-located run waits for the other."""

from __future__ import annotations

from dataclasses import dataclass

from monty.json import MSONable


@dataclass(frozen=True)
class Patience(MSONable):
    """Seconds that each half waits for the other; infinity is allowed."""

    meet: float = 3600.0
    """Until the other half must be there. Twins may stand in two queues."""
    label: float = 86400.0
    """For one label; a day. A machine that is lost shows after half a minute, whatever this is."""
    idle: float = 86400.0
    """For the next geometry, while the surrogate learns and walks."""
    close: float = 300.0
    """For the parent to end: VASP writes its files then."""
    grace: float = 600.0
    """For the label under way to end when the learner is lost, so that it is on disk for the next
    try; then it is given up."""

    def __post_init__(self) -> None:
        for name in ("meet", "label", "idle", "close", "grace"):
            value = getattr(self, name)
            if not value >= 0 or (name != "grace" and value == 0):
                raise ValueError(f"`{name}` is {value} s but must be positive")
