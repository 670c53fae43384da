"""Which runs of VASP follow one another, where their names do not say it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from finetuna_flows.geometry import Array, displacements
from finetuna_flows.relaxation.vasp.attempt import FinishedRun, FinishedStep, share_level
from finetuna_flows.vasp.level_difference import level_difference

logger = logging.getLogger(__name__)

SAME_PLACE = 1e-3
"""Å by which the end of one run may differ from the start of the next: OUTCAR has five decimals,
and a POSCAR that passed through another program may have four."""
SAME_CELL = 1e-5
"""Å by which the vectors of one cell may differ, by rounding."""
SAME_ENERGY = 1e-3
"""eV by which F of one ionic step may differ between vasprun.xml and OUTCAR."""


@dataclass(frozen=True)
class Part:
    """Some runs of VASP that lie together, in the order of time."""

    name: str
    """What to call them."""
    runs: tuple[FinishedRun, ...]


@dataclass(frozen=True)
class History:
    """What belongs to one relaxation, and what does not."""

    runs: tuple[FinishedRun, ...]
    """In the order of time."""
    left_out: tuple[tuple[Part, str], ...]
    """What shows no place in it, each with the reason."""


def history_of(known: Sequence[FinishedRun], parts: Sequence[Part]) -> History:
    """Put parts before and after the runs that are known to belong together.

    One follows another where it begins with the geometry with which that ended, for the same atoms
    in the same cell at the same level of theory, and began later.

    Parameters
    ----------
    known
        At least one, in the order of time.
    parts
        Under names that do not say where they belong.
    """
    runs, rest = list(known), list(parts)
    while before := [each for each in rest if not _gap(each.runs[-1], runs[0])]:
        nearest = max(before, key=lambda part: part.runs[-1].started)
        runs[:0] = _noted(nearest, f"comes before {runs[0].source}, which begins where it ends")
        rest.remove(nearest)
    while after := [each for each in rest if not _gap(runs[-1], each.runs[0])]:
        nearest = min(after, key=lambda part: part.runs[0].started)
        runs += _noted(nearest, f"comes after {runs[-1].source}, since it begins where that ends")
        rest.remove(nearest)
    left_out = tuple((each, _why_not(each, runs)) for each in rest)
    return History(_with_constraints(runs), left_out)


def is_same_run(one: FinishedRun, other: FinishedRun) -> bool:
    """Whether two readings are of one start of VASP, one of them perhaps at an earlier time."""
    return (
        bool(one.started)
        and one.started == other.started
        and all(
            _is_same_step(step, other.numbered[number])
            for number, step in one.numbered.items()
            if number in other.numbered
        )
    )


def end_of(run: FinishedRun) -> Array:
    """Where a run ended: positions in Å of its last complete step, or its start without one."""
    return run.steps[-1].positions if run.steps else run.start.positions


def _noted(part: Part, words: str) -> list[FinishedRun]:
    """The runs of a part, the first of which tells why they are there."""
    note = f"{part.name} {words}"
    logger.info("%s", note)
    first, *others = part.runs
    return [replace(first, notes=(*first.notes, note)), *others]


def _gap(one: FinishedRun, other: FinishedRun) -> str:
    """Why `other` does not follow `one`; empty where it does."""
    for run in (one, other):
        if run.settings.motion.obstacles:
            return f"it {run.settings.motion.refusal}"
    if not np.array_equal(one.start.numbers, other.start.numbers):
        return f"its atoms are {one.start.symbols} and {other.start.symbols}"
    if np.abs(one.start.cell[:] - other.start.cell[:]).max() > SAME_CELL:
        return "its cell is another one"
    if not share_level(one, other):
        how = level_difference(one.settings.level, other.settings.level)
        return f"their levels of theory differ {how}"
    if one.started and other.started and one.started >= other.started:
        return "it did not begin earlier"
    far = min(_distance(end, other) for end in (end_of(one), one.left) if end is not None)
    return f"they are {far:.3f} Å apart" if far > SAME_PLACE else ""


def _distance(end: Array, run: FinishedRun) -> float:
    """The farthest that an atom is from where a run starts, Å."""
    ways = displacements(end, run.start.positions, run.start)
    return float(np.linalg.norm(ways, axis=1).max())


def _why_not(part: Part, runs: Sequence[FinishedRun]) -> str:
    before, after = _gap(part.runs[-1], runs[0]), _gap(runs[-1], part.runs[0])
    first, last = runs[0].source, runs[-1].source
    if before == after:
        return before
    return f"it does not end where {first} begins ({before}), nor begin where {last} ends ({after})"


def _with_constraints(runs: Sequence[FinishedRun]) -> tuple[FinishedRun, ...]:
    """Let all know which atoms are fixed, as far as one knows."""
    knowing = next((run for run in runs if run.constraints_known), None)
    if knowing is None:
        return tuple(runs)
    return tuple(run if run.constraints_known else _constrained_like(run, knowing) for run in runs)


def _constrained_like(run: FinishedRun, knowing: FinishedRun) -> FinishedRun:
    if not np.array_equal(run.start.numbers, knowing.start.numbers):
        return run
    start = run.start.copy()
    start.set_constraint(knowing.start.constraints)
    return replace(run, start=start, constraints_known=True)


def _is_same_step(one: FinishedStep, other: FinishedStep) -> bool:
    """With the same time, unless one reading has none, as that of a vasprun.xml."""
    mine, theirs = one.label, other.label
    if mine.wall_time and theirs.wall_time and mine.wall_time != theirs.wall_time:
        return False
    return abs(mine.force_energy - theirs.force_energy) <= SAME_ENERGY
