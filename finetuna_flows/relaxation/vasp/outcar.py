"""Ionic steps from an OUTCAR.

Not with ASE's reader, which counts no electronic iterations and keeps no times, nor with that of
pymatgen, which gives no geometries.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.records import Label
from finetuna_flows.relaxation.vasp.attempt import (
    NO_WAY_DOWN,
    FinishedRun,
    FinishedStep,
    grid_of,
    level_of,
    list_of,
    moment,
    settings_of,
    warn_of_end,
)
from finetuna_flows.vasp.calculation import last_change
from finetuna_flows.vasp.level import ENGINE, STAND_IN
from finetuna_flows.vasp.level_tags import TOLD_BY_OUTCAR
from finetuna_flows.vasp.tags import is_true

NUMBER = re.compile(r"-?\d+\.\d+")  # columns may touch
TAG = re.compile(r"\b([A-Z][A-Z0-9_]+)\s*=\s*([^\s;]+)")
TITLE = re.compile(r"\bTITEL\s*=\s*(.*\S)")
ELEMENT = re.compile(r"\S+\s+([A-Z][a-z]?)")
COUNTS = re.compile(r"ions per type =((?:\s+\d+)+)")
DIVISIONS = re.compile(r"generate k-points for:((?:\s+\d+)+)")
GIVEN = re.compile(r"   (\w+) = (.*\S)\s*$")
"""A line of the INCAR that VASP 6 repeats."""
UNSET = ("--", "F")
HUBBARD = re.compile(r"for each species\s+LDAUU\s*=\s*(.*\S)")
TIME = re.compile(r"LOOP\+:.*?(\d+\.\d+)\s*$")
FREE = re.compile(r"free  energy   TOTEN  =\s*(\S+)")
SMEARED = re.compile(r"energy  without entropy=.*energy\(sigma->0\) =\s*(\S+)")
"""Of an ionic step; those of an electronic iteration have other blanks."""
ITERATED = re.compile(r"free energy    TOTEN  =\s*(\S+)")


class _Lines(Iterator[str]):
    """Lines of a stream, counted."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.number = 0

    def __next__(self) -> str:
        line = next(self._stream).decode("latin-1")
        self.number += 1
        return line


@dataclass
class _Reading:
    """What has been read so far."""

    tags: dict[str, str] = field(default_factory=dict)
    incar: dict[str, str] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    engine: str = ENGINE
    counts: list[int] = field(default_factory=list)
    divisions: list[int] = field(default_factory=list)
    first_k_point: Array | None = None
    started: tuple[int, ...] = ()
    cell: Array | None = None
    start: Array | None = None
    first_cell: Array | None = None
    steps: list[FinishedStep] = field(default_factory=list)
    iterations: int = 0
    iterated: list[float] = field(default_factory=list)
    """F of each electronic iteration, eV."""
    table: Array | None = None
    free: float | None = None
    energy: float | None = None
    gave_up: bool = False
    """Whether VASP wrote that its line search failed."""
    learned: int = 0
    """Steps of a machine-learned force field alone."""

    @property
    def n_atoms(self) -> int:
        return sum(self.counts)


def read_outcar(stream: IO[bytes], source: str) -> FinishedRun:
    """Read settings, start and complete ionic steps, with the real time of each.

    Positions of the steps have five decimals. Which atoms are fixed OUTCAR does not tell.

    Parameters
    ----------
    stream
        Uncompressed.
    source
        What to call it.

    Raises
    ------
    ParentError
        If the file ends before its first geometry, or a line is not what VASP writes; the message
        names the line.
    """
    reading = _Reading()
    lines = _Lines(stream)
    try:
        for line in lines:
            _take(reading, line, lines)
        whole = not reading.iterations and reading.table is None
    except (EOFError, zlib.error, StopIteration):
        whole = False
    except ValueError as exc:
        raise ParentError(f"{source}:{lines.number} is not what VASP writes: {exc}") from exc
    run = _run(reading, source)
    if not whole:
        warn_of_end(source, f"line {lines.number}", len(reading.steps))
    return replace(run, whole=whole)


def _take(reading: _Reading, line: str, lines: _Lines) -> None:
    """Take what a line says, and those that belong to it."""
    if "- Iteration " in line:
        reading.iterations += 1
    elif "(ML)" in line:
        pass  # a table of the machine-learned force field, beside that of DFT or alone
    elif NO_WAY_DOWN in line:
        reading.gave_up = True
    elif "direct lattice vectors" in line and "position" not in line:
        reading.cell = _table(lines, 3, 6)[:, :3]
    elif "TOTAL-FORCE (eV/Angst)" in line:
        next(lines)
        reading.table = _table(lines, reading.n_atoms, 6)
    elif match := ITERATED.search(line):
        reading.iterated.append(float(match[1]))
    elif match := FREE.search(line):
        reading.free = float(match[1])
    elif match := SMEARED.search(line):
        reading.energy = float(match[1])
    elif "LOOP+:" in line:
        _finish_step(reading, line)
    elif not reading.iterations and not reading.steps:
        _take_head(reading, line, lines)
    elif "IVDW " in line:
        reading.tags.update(TAG.findall(line))


def _take_head(reading: _Reading, line: str, lines: _Lines) -> None:
    reading.tags.update(tag for tag in TAG.findall(line) if tag != ("METAGGA", "F"))  # said before
    if not reading.titles and (match := GIVEN.match(line)):
        reading.incar[match[1]] = match[2]
    elif match := TITLE.search(line):
        reading.titles.append(match[1])
    elif match := COUNTS.search(line):
        reading.counts = list(map(int, match[1].split()))
    elif STAND_IN in line:
        reading.engine = STAND_IN
    elif "executed on" in line:
        reading.started = moment(line.rpartition(" date ")[2])
    elif match := HUBBARD.search(line):
        reading.tags |= {"LDAU": "T", "LDAUU": match[1]}
    elif match := DIVISIONS.search(line):
        reading.divisions = list(map(int, match[1].split()))
    elif "Following reciprocal coordinates" in line:
        next(lines)
        reading.first_k_point = _table(lines, 1, 4)[0, :3]
    elif "position of ions in cartesian coordinates" in line:
        reading.start = _table(lines, reading.n_atoms, 3)
        reading.first_cell = reading.cell


def _finish_step(reading: _Reading, line: str) -> None:
    """Close an ionic step."""
    if not reading.iterations and is_true(reading.tags.get("ML_LMLFF", "F")):
        reading.learned += 1
        return
    if reading.table is None or reading.free is None or reading.energy is None:
        raise ValueError("an ionic step ends without forces or energies")
    if reading.cell is None:
        raise ValueError("an ionic step has no cell")
    time = TIME.search(line)
    label = Label(
        energy=reading.energy,
        forces=reading.table[:, 3:6],
        free_energy=reading.free,
        scf_cycles=reading.iterations,
        wall_time=float(time[1]) if time else 0.0,
    )
    change = last_change(reading.iterated)
    reading.steps.append(FinishedStep(reading.table[:, :3], reading.cell, label, change))
    reading.iterated = []
    reading.iterations, reading.table, reading.free, reading.energy = 0, None, None, None


def _table(lines: _Lines, rows: int, columns: int) -> Array:
    found = []
    for _ in range(rows):
        line = next(lines)
        found.append(NUMBER.findall(line))
        if len(found[-1]) != columns:
            raise ValueError(f"{line.strip()!r} are not {columns} numbers")
    return np.array(found, dtype=np.float64)


def _run(reading: _Reading, source: str) -> FinishedRun:
    if reading.start is None or reading.first_cell is None:
        raise ParentError(f"{source} ends before its first geometry; there is nothing to import")
    elements = [match[1] for title in reading.titles if (match := ELEMENT.match(title))]
    if len(elements) != len(reading.counts):
        raise ParentError(
            f"{source} names {len(elements)} POTCARs but has {len(reading.counts)} kinds of atoms; "
            "it is damaged"
        )
    symbols = [each for each, n in zip(elements, reading.counts, strict=True) for _ in range(n)]
    level, by_number = _levels(reading)
    return FinishedRun(
        source=source,
        settings=settings_of(reading.tags, level, source),
        start=Atoms(symbols, positions=reading.start, cell=reading.first_cell, pbc=True),
        steps=tuple(reading.steps),
        constraints_known=False,
        levels=frozenset({by_number}),
        gave_up=reading.gave_up,
        learned=reading.learned,
        started=reading.started,
    )


def _levels(reading: _Reading) -> tuple[str, str]:
    """Level of theory from the INCAR that VASP 6 repeats, else from the values it worked with.

    By the grid of k-points where that is told, and by their number.
    """
    tags = reading.tags
    given = dict(reading.incar)
    if not given:
        told = TOLD_BY_OUTCAR.intersection(tags)
        given = {name: tags[name] for name in told if tags[name] not in UNSET}
    listed = grid = list_of(int(tags.get("NKPTS", 0)))
    if reading.divisions and reading.first_k_point is not None:
        style = "Monkhorst" if reading.first_k_point.any() else "Gamma"
        grid = grid_of(style, reading.divisions)
    by_grid, by_number = (
        level_of(given, each, reading.titles, reading.engine, worked_with=tags)
        for each in (grid, listed)
    )
    return by_grid, by_number
