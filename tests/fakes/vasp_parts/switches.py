"""The environment variables that steer the stand-in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .fortran import InputError

FAULTS = (
    "die0", "die", "kill", "nan", "stars", "silent", "unconverged",
    "atoms", "truncate", "stale", "zpotrf", "wrong_positions",
)  # fmt: skip
DATES = {"6.1.2": "22Jul20", "6.3.2": "27Jun22"}


@dataclass(frozen=True)
class Switches:
    """What a user or a test asks for besides VASP's own files."""

    calculator: str
    version: str
    cycle_time: float
    """Seconds of CPU time per electronic cycle."""
    buffer: str
    """``""``, ``block`` or ``files``."""
    faults: tuple[tuple[str, int], ...]
    fault_file: Path | None
    counter: Path | None
    ranks: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Switches:
        """Read them.

        Raises
        ------
        InputError
            If a value is none of those allowed.
        """
        buffer = environ.get("FAKE_VASP_BUFFER", "")
        if buffer not in {"", "block", "files"}:
            raise InputError(f"FAKE_VASP_BUFFER is {buffer!r} but must be block or files")
        faults = []
        for word in filter(None, environ.get("FAKE_VASP_FAULT", "").split(",")):
            name, _, step = word.strip().partition("@")
            if name not in FAULTS or not re.fullmatch(r"[1-9]\d*", step):
                raise InputError(
                    f"FAKE_VASP_FAULT holds {word!r} but each must be NAME@STEP with a step from 1 "
                    f"and a name of {', '.join(FAULTS)}"
                )
            faults.append((name, int(step)))
        paths = (environ.get(f"FAKE_VASP_{name}") for name in ("FAULT_FILE", "COUNTER"))
        fault_file, counter = (Path(path).absolute() if path else None for path in paths)
        return cls(
            calculator=environ.get("FAKE_VASP_CALCULATOR", "emt"),
            version=environ.get("FAKE_VASP_VERSION", "6.3.2"),
            cycle_time=float(environ.get("FAKE_VASP_CYCLE_TIME", "0")),
            buffer=buffer,
            faults=tuple(faults),
            fault_file=fault_file,
            counter=counter,
            ranks=int(environ.get("FAKE_VASP_RANKS", "1")),
        )

    @property
    def number(self) -> tuple[int, ...]:
        """The version as numbers: (6, 3, 2)."""
        return tuple(int(word) for word in re.findall(r"\d+", self.version)[:3])

    @property
    def speaks_new(self) -> bool:
        """Whether positions are asked for as from VASP 6.4.1 on."""
        return self.number >= (6, 4, 1)

    @property
    def build(self) -> str:
        """What follows the version: its date, where `version` does not name it, and the build."""
        dated = re.fullmatch(r"[\d.]+", self.version)
        date = DATES.get(self.version, "01Jan24") + " " if dated else ""
        return f"{date}(build Jan 01 2026 00:00:00) complex"

    @property
    def sentence(self) -> str:
        """What every file says."""
        model = "EMT" if self.calculator == "emt" else self.calculator
        return f"stand-in for VASP of finetuna_flows: energies are those of {model}, not of DFT"
