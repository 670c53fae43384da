"""Ionic steps from an OUTCAR.

Not with ASE's reader, which counts no electronic iterations and keeps no times, nor with that of
pymatgen, which gives no geometries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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
    step_words,
    unknown_level,
    warn_of_end,
)
from finetuna_flows.relaxation.vasp.ending import UNREADABLE
from finetuna_flows.relaxation.vasp.species import Species
from finetuna_flows.vasp.calculation import last_change
from finetuna_flows.vasp.level import ENGINE, STAND_IN
from finetuna_flows.vasp.level_tags import TOLD_BY_OUTCAR
from finetuna_flows.vasp.table import HEADING, LEARNED, RULE, number, read_forces
from finetuna_flows.vasp.tags import is_true

TOUCHING = re.compile(r"-?\d+\.\d+")
TAG = re.compile(r"\b([A-Z][A-Z0-9_]+)\s*=\s*([^\s;]+)")
ITERATION = re.compile(r"- Iteration +(\d+)\(")
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

    def take(self) -> str:
        """The next line, where there must be one."""
        for line in self:
            return line
        raise EOFError("the file ends")


@dataclass
class _Reading:
    """What has been read so far."""

    tags: dict[str, str] = field(default_factory=dict)
    incar: dict[str, str] = field(default_factory=dict)
    species: Species = field(default_factory=Species)
    engine: str = ENGINE
    divisions: list[int] = field(default_factory=list)
    first_k_point: Array | None = None
    started: tuple[int, ...] = ()
    cell: Array | None = None
    start: Array | None = None
    first_cell: Array | None = None
    steps: list[FinishedStep] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    ionic: str = ""
    """Number of the ionic step, as its electronic iterations have it."""
    iterations: int = 0
    iterated: list[float] = field(default_factory=list)
    """F of each electronic iteration, eV."""
    table: Array | None = None
    free: float | None = None
    energy: float | None = None
    trouble: str = ""
    """What of the ionic step cannot be read."""
    gave_up: bool = False
    """Whether VASP wrote that its line search failed."""
    learned: int = 0
    """Steps of a machine-learned force field alone."""

    @property
    def number(self) -> int:
        """Of the ionic step that is being read, from 1."""
        return len(self.steps) + len(self.lost) + 1

    @property
    def is_complete(self) -> bool:
        """Whether all is there that an ionic step needs."""
        return self.table is not None and self.free is not None and self.energy is not None


def read_outcar(
    stream: IO[bytes], source: str, beside: Callable[[], Atoms | None] = lambda: None
) -> FinishedRun:
    """Read settings, start and complete ionic steps, with the real time of each.

    Positions of the steps have five decimals. Which atoms are fixed OUTCAR does not tell. Steps
    that cannot be read are `FinishedRun.lost`; the others stay.

    Parameters
    ----------
    stream
        Uncompressed.
    source
        What to call it.
    beside
        The POSCAR that lies there; asked for where the file itself does not tell the atoms.

    Raises
    ------
    ParentError
        If the file ends before its first geometry, or does not tell its atoms or what it was.
    """
    reading, lines = _Reading(), _Lines(stream)
    try:
        for line in lines:
            _take_or_note(reading, line, lines, source)
        whole = not reading.iterations and reading.table is None
    except UNREADABLE as exc:
        if not lines.number:
            raise ParentError(f"{source} cannot be read: {exc}") from exc
        whole = False
    run = _run(reading, source, beside)
    if not whole:
        warn_of_end(source, f"line {lines.number}", run.n_steps)
    return replace(run, whole=whole)


def _take_or_note(reading: _Reading, line: str, lines: _Lines, source: str) -> None:
    """Take a line; where it cannot be read, note which."""
    try:
        _take(reading, line, lines, source)
    except ValueError as exc:
        words = step_words(source, reading.number, lines.number, exc)
        if reading.iterations:
            reading.trouble = reading.trouble or words
        else:
            reading.damaged.append(f"{source} line {lines.number} is not what VASP writes: {exc}")


def _take(reading: _Reading, line: str, lines: _Lines, source: str) -> None:
    """Take what a line says, and those that belong to it."""
    if "- Iteration " in line:
        _begin_iteration(reading, line, lines, source)
    elif LEARNED in line:
        pass  # a table of the machine-learned force field, beside that of DFT or alone
    elif NO_WAY_DOWN in line:
        reading.gave_up = True
    elif "direct lattice vectors" in line and "position" not in line:
        reading.cell = _table(lines, 3, 6)[:, :3]
    elif HEADING in line:
        reading.table = None
        reading.table = read_forces(_rows_of_forces(lines))
    elif match := ITERATED.search(line):
        reading.iterated.append(number(match[1]))
    elif match := FREE.search(line):
        reading.free = number(match[1])
    elif match := SMEARED.search(line):
        reading.energy = number(match[1])
    elif "LOOP+:" in line:
        _finish_step(reading, line, lines, source)
    elif not reading.iterations and not reading.steps and not reading.lost:
        _take_head(reading, line, lines)
    elif "IVDW " in line:
        reading.tags.update(TAG.findall(line))


def _begin_iteration(reading: _Reading, line: str, lines: _Lines, source: str) -> None:
    """Count an electronic iteration; the first of another ionic step ends the one before."""
    match = ITERATION.search(line)
    ionic = match[1] if match else reading.ionic
    if reading.is_complete and ionic != reading.ionic:
        _finish_step(reading, "", lines, source)  # whose time is missing
    reading.ionic = ionic
    reading.iterations += 1


def _take_head(reading: _Reading, line: str, lines: _Lines) -> None:
    reading.tags.update(tag for tag in TAG.findall(line) if tag != ("METAGGA", "F"))  # said before
    if not (reading.species.titles or reading.species.atoms) and (match := GIVEN.match(line)):
        reading.incar[match[1]] = match[2]
    elif reading.species.take(line):
        pass
    elif match := COUNTS.search(line):
        reading.species.counts = list(map(int, match[1].split()))
    elif STAND_IN in line:
        reading.engine = STAND_IN
    elif "executed on" in line:
        reading.started = moment(line.rpartition(" date ")[2])
    elif match := HUBBARD.search(line):
        reading.tags |= {"LDAU": "T", "LDAUU": match[1]}
    elif match := DIVISIONS.search(line):
        reading.divisions = list(map(int, match[1].split()))
    elif "Following reciprocal coordinates" in line:
        lines.take()
        reading.first_k_point = _table(lines, 1, 4)[0, :3]
    elif "position of ions in cartesian coordinates" in line:
        reading.first_cell = reading.cell
        reading.start = _positions(lines)


def _finish_step(reading: _Reading, line: str, lines: _Lines, source: str) -> None:
    """Close an ionic step: keep it, or note why it is lost."""
    if not reading.iterations and is_true(reading.tags.get("ML_LMLFF", "F")):
        reading.learned += 1
        return
    try:
        if reading.trouble:
            reading.lost[reading.number] = reading.trouble
        else:
            reading.steps.append(_step(reading, line))
    except (ValueError, ParentError) as exc:
        words = step_words(source, reading.number, lines.number, exc)
        reading.lost[reading.number] = words
    reading.iterated, reading.trouble = [], ""
    reading.iterations, reading.table, reading.free, reading.energy = 0, None, None, None


def _step(reading: _Reading, line: str) -> FinishedStep:
    if reading.table is None or reading.free is None or reading.energy is None:
        raise ValueError("it ends without forces or energies")
    if reading.cell is None:
        raise ValueError("it has no cell")
    time = TIME.search(line)
    label = Label(
        energy=reading.energy,
        forces=reading.table[:, 3:],
        free_energy=reading.free,
        scf_cycles=reading.iterations,
        wall_time=float(time[1]) if time else 0.0,
    )
    change = last_change(reading.iterated)
    return FinishedStep(reading.table[:, :3], reading.cell, label, change)


def _rows_of_forces(lines: _Lines) -> Iterator[str]:
    lines.take()
    for line in lines:
        if line.startswith(RULE) or "total drift" in line:
            return
        yield line


def _positions(lines: _Lines) -> Array:
    """Rows of three numbers up to a blank line."""
    rows = []
    while (line := lines.take()).strip():
        rows.append(_numbers(line, 3))
    return np.array(rows, dtype=np.float64)


def _table(lines: _Lines, rows: int, columns: int) -> Array:
    return np.array([_numbers(lines.take(), columns) for _ in range(rows)], dtype=np.float64)


def _numbers(line: str, columns: int) -> list[float]:
    words = TOUCHING.findall(line)
    if len(words) != columns or "".join(words) != "".join(line.split()):
        raise ValueError(f"{line.strip()!r} are not {columns} numbers")
    return [float(word) for word in words]


def _run(reading: _Reading, source: str, beside: Callable[[], Atoms | None]) -> FinishedRun:
    start = _start(reading, source, beside)
    steps, lost = _of_one_size(reading, len(start), source)
    try:
        level, by_number = _levels(reading)
    except (ValueError, LookupError) as exc:
        level = by_number = unknown_level(source)
        reading.damaged.append(f"{source} does not tell its level of theory: {exc}")
    n_steps = len(steps) + len(lost)
    settings, unsaid = settings_of(reading.incar, reading.tags, level, source, n_steps)
    return FinishedRun(
        source=source,
        settings=settings,
        start=start,
        steps=steps,
        constraints_known=False,
        levels=frozenset({by_number}),
        gave_up=reading.gave_up,
        learned=reading.learned,
        lost=lost,
        damaged=(*reading.damaged, *unsaid),
        started=reading.started,
    )


def _start(reading: _Reading, source: str, beside: Callable[[], Atoms | None]) -> Atoms:
    """The first geometry: that of the head, else of the first step, else of a POSCAR beside."""
    positions, cell = reading.start, reading.first_cell
    if reading.steps and 1 not in reading.lost:
        positions = reading.steps[0].positions if positions is None else positions
        cell = reading.steps[0].cell if cell is None else cell
    if positions is None or cell is None:
        poscar = beside()
        if poscar is None or reading.number == 1:
            raise ParentError(
                f"{source} ends before its first geometry; there is nothing to import"
            )
        positions, cell = poscar.positions, poscar.cell[:]
    symbols = reading.species.symbols(len(positions), source, beside)
    return Atoms(symbols, positions=positions, cell=cell, pbc=True)


def _of_one_size(
    reading: _Reading, n_atoms: int, source: str
) -> tuple[tuple[FinishedStep, ...], dict[int, str]]:
    """Steps with as many rows as there are atoms; the others are lost too."""
    lost, kept, rest = dict(reading.lost), [], iter(reading.steps)
    for index in range(1, reading.number):
        if index in reading.lost:
            continue
        step = next(rest)
        if len(step.positions) == n_atoms:
            kept.append(step)
        else:
            rows = len(step.positions)
            words = f"has {rows} rows of forces for {n_atoms} atoms"
            lost[index] = f"{source} ionic step {index} {words}"
    return tuple(kept), lost


def _levels(reading: _Reading) -> tuple[str, str]:
    """Level of theory from the INCAR that VASP 6 repeats, else from the values it worked with.

    By the grid of k-points where that is told, and by their number.
    """
    tags, titles = reading.tags, reading.species.best_titles
    given = dict(reading.incar)
    if not given:
        told = TOLD_BY_OUTCAR.intersection(tags)
        given = {name: tags[name] for name in told if tags[name] not in UNSET}
    listed = grid = list_of(int(tags.get("NKPTS", 0)))
    if reading.divisions and reading.first_k_point is not None:
        style = "Monkhorst" if reading.first_k_point.any() else "Gamma"
        grid = grid_of(style, reading.divisions)
    by_grid, by_number = (
        level_of(given, each, titles, reading.engine, worked_with=tags) for each in (grid, listed)
    )
    return by_grid, by_number
