"""What a parent did while it served: the other side of the learner's ledger."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from finetuna_flows.colocation.ipi import Json

NAME = "service.json"


@dataclass(frozen=True)
class ServiceReport:
    """One service, from its start to its end."""

    level: str = ""
    """Of theory, in words; empty if nobody came."""
    calls: int = 0
    """Labels that were sent."""
    recalled: int = 0
    """Those among them that were computed before, in this try or an earlier one in the folder."""
    scf_cycles: int | None = None
    """Electronic iterations over all labels; None if one of them does not say."""
    label_time: float = 0.0
    """Seconds that the engine took for the labels that were computed."""
    waiting_time: float = 0.0
    """Seconds between labels, paused or not."""
    paused_time: float = 0.0
    """Seconds that the engine's processors were left to others."""
    failure: Json | None = None
    """What ended it, as `failure.encode_failure` has it; None where the learner did."""

    def write(self, directory: Path) -> None:
        """Leave it in a folder, whole or not at all."""
        part = directory / f"{NAME}.{os.getpid()}.part"
        part.write_text(json.dumps(asdict(self)))
        part.rename(directory / NAME)

    @classmethod
    def read(cls, directory: Path) -> ServiceReport | None:
        """What lies in a folder; None if nothing does."""
        try:
            return cls(**json.loads((directory / NAME).read_text()))
        except FileNotFoundError:
            return None
