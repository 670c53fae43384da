"""What VASP prints, line by line: electronic cycles, energies, forces, and when it wants input.

Only standard output is trusted while VASP runs: builds that do not flush leave OUTCAR and
vasprun.xml cut at blocks of 4 or 8 KiB. Up to 6.4.0 an interactive VASP echoes the positions
that it has read, from 6.4.1 it prints their number.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array

CYCLE = re.compile(r"^ ?(?:DAV|RMM|CGA|CG |SDA|DMP|DIA|EDI|SEL|EXX|ITE|LIN|FRE): +(\d+|\*+) ")
IONIC = re.compile(r"^ *(\d+|\*+) F= *(\S+) +E0= *(\S+) +d E *=")
FORCES = re.compile(r"^ ?FORCES:")
PROMPT = re.compile(r"^ ?POSITIONS( AND LATTICE)?: reading from stdin")
ECHO = re.compile(r"^ ?POSITIONS(?: AND LATTICE)?: read from stdin")
COUNT = re.compile(r"^ ?N_?ATOMS\b", re.IGNORECASE)
HARD_STOP = "hard stop encountered"
VERSION = re.compile(r"^ *vasp\.(\S+)")
ROW = re.compile(r"^ *(-?\d+\.\d+) *(-?\d+\.\d+) *(-?\d+\.\d+) *$")
COLUMN = 14
"""Characters of a force: Fortran's F14.7."""
KEPT_LINES = 30
"""Of the output, for messages."""


class Dialect(StrEnum):
    """How an interactive VASP answers to positions."""

    ECHO = "echo"
    """New and old positions, then ``POSITIONS: read from stdin``: up to 6.4.0."""
    COUNT = "count"
    """The number of atoms in one line: from 6.4.1."""


@dataclass(frozen=True)
class IonicStep:
    """One geometry as VASP answered for it."""

    number: int
    """Counted by VASP, from 1."""
    free_energy: float
    """VASP's F in eV: what the forces are the gradient of."""
    energy: float
    """VASP's E0 in eV: extrapolated to zero smearing."""
    cycles: int
    """Electronic iterations."""
    residuals: tuple[float, float]
    """Last changes of the energy and of the eigenvalues in eV; inf where there was one cycle."""
    forces: Array | None
    """eV/Å, shape (n, 3), in POSCAR's order; None where VASP prints none."""
    stopping: bool
    """Whether this is the step that VASP makes to end itself."""
    echoed: Array | None = None
    """Fractional coordinates that VASP says it has read, shape (n, 3); None where it does not."""


@dataclass
class Stream:
    """Takes the lines in, keeps what they say.

    Parameters
    ----------
    atoms
        How many rows of forces there must be; None: as many as come.
    """

    atoms: int | None = None
    version: str | None = None
    """As in ``5.4.4.18Apr17-6-g9f103f2a35``; None before it has said so."""
    dialect: Dialect | None = None
    """None before the first positions were read."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _cycles: int = 0
    _residuals: tuple[float, float] = (np.inf, np.inf)
    _rows: list[str] | None = None
    _stopping: bool = False
    _echo: list[str] | None = None
    """Lines since the prompt."""
    _read: list[str] | None = None
    """Those that came before VASP said that it had read positions."""

    def feed(self, line: str) -> IonicStep | None:
        """Take a line; an ionic step when it is complete.

        Raises
        ------
        ParentError
            If a number cannot be read (VASP prints stars where it does not fit), is not finite, or
            there are more or fewer forces than atoms.
        """
        if line.strip():
            self.last_lines.append(line.rstrip())
        if match := IONIC.match(line):
            return self._finish(line, match)
        if FORCES.match(line):
            self._rows = []
        elif cycle := CYCLE.match(line):
            self._cycles += 1
            self._residuals = _residuals(line[cycle.end() :])
        elif self._rows is not None and line.strip():
            self._rows.append(line)
        elif HARD_STOP in line:
            self._stopping = True
        elif match := VERSION.match(line):
            self.version = self.version or match[1]
        elif PROMPT.match(line):
            self._echo = []
        elif ECHO.match(line):
            self.dialect = Dialect.ECHO
            self._read, self._echo = self._echo, None
        elif COUNT.match(line):
            self.dialect, self._echo = Dialect.COUNT, None
        elif self._echo is not None:
            self._echo.append(line)
        return None

    def wants_positions(self, line: str) -> bool:
        """Whether VASP asks for the next geometry with this line.

        Raises
        ------
        ParentError
            If it wants the cell too, which it does where ISIF is 3 or more.
        """
        match = PROMPT.match(line)
        if match and match[1]:
            raise ParentError(
                "VASP asks for positions and lattice, as it does from 6.4.1 where ISIF is 3 or "
                "more; only fixed cells are labelled: set ISIF to 2 or less"
            )
        return match is not None

    def _finish(self, line: str, match: re.Match[str]) -> IonicStep:
        forces = None if self._rows is None else self._forces(self._rows)
        number, free_energy, energy = match.groups()
        step = IonicStep(
            number=int(_number(number, line)),
            free_energy=_number(free_energy, line),
            energy=_number(energy, line),
            cycles=self._cycles,
            residuals=self._residuals,
            forces=forces,
            stopping=self._stopping,
            echoed=None if self._read is None else self._positions(self._read),
        )
        self._read = None
        self._cycles, self._rows = 0, None
        self._residuals = (np.inf, np.inf)
        return step

    def _positions(self, lines: list[str]) -> Array | None:
        """The first of the echoed rows, one an atom: VASP repeats POSCAR's behind them."""
        rows = [found for line in lines if (found := ROW.match(line))][: self.atoms]
        values = [[float(each) for each in row.groups()] for row in rows]
        return np.array(values, dtype=np.float64) if len(rows) == self.atoms else None

    def _forces(self, rows: list[str]) -> Array:
        if self.atoms is not None and len(rows) != self.atoms:
            raise ParentError(
                f"VASP printed {len(rows)} forces for {self.atoms} atoms; the last line was "
                f"{rows[-1].strip() if rows else ''!r}"
            )
        starts = (0, COLUMN, 2 * COLUMN)
        values = [[_number(row[i : i + COLUMN], row) for i in starts] for row in rows]
        return np.array(values, dtype=np.float64).reshape(-1, 3)


def _number(text: str, line: str) -> float:
    """Fortran's way of writing numbers: ``-.62323928E+01``, stars for what does not fit."""
    try:
        value = float(text)
    except ValueError as exc:
        raise ParentError(f"VASP printed {line.strip()!r}, where {text!r} is no number") from exc
    if not np.isfinite(value):
        raise ParentError(f"VASP printed {line.strip()!r}, where {text!r} is not finite")
    return value


def _residuals(rest: str) -> tuple[float, float]:
    """The second and third number behind the count: changes of energy and eigenvalues."""
    found = re.findall(r"[-+]?(?:\d+\.\d*|\.\d+)(?:[ED][-+]?\d+)?", rest)
    values = [abs(float(each.replace("D", "E"))) for each in found[1:3]]
    return (values[0], values[1]) if len(values) == 2 else (np.inf, np.inf)
