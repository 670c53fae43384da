"""From the starts of VASP that make one relaxation to a `Relaxation`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import displacements, free_components, moved
from finetuna_flows.geometry import fmax as largest_force
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Relaxation, Step
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.relaxation.vasp.attempt import VaspRun
from finetuna_flows.relaxation.vasp.match import Indices, matched
from finetuna_flows.structures.connectivity import integrity

logger = logging.getLogger(__name__)

METHODS = {1: "VASP quasi-Newton", 2: "VASP CG", 3: "VASP damped"}
"""By IBRION."""
OTHERS = {
    -1: "one geometry",
    0: "molecular dynamics",
    5: "phonons",
    6: "phonons",
    7: "phonons",
    8: "phonons",
    11: "interactive: another program moved the atoms",
    40: "a reaction path",
    44: "a transition state",
}
DEFAULT_FMAX = 0.03
"""eV/Å, where the run itself had no threshold for forces; that of OC20."""
SAME_CELL = 1e-5
"""Å by which the vectors of one cell may differ, by rounding."""


def join_runs(
    runs: Sequence[VaspRun], *, fmax: float | None = None, like: Atoms | None = None
) -> Relaxation:
    """Make one relaxation of all starts of VASP that belong to it.

    Parameters
    ----------
    runs
        In the order of time.
    fmax
        eV/Å that the forces on free atoms had to reach. As with every other method the relaxation
        ends at the first geometry that reaches it; the log says how many VASP went on for. None:
        all ionic steps, against EDIFFG where that is a force, else 0.03.
    like
        The structure that was relaxed, with the tags of its adsorbate: the relaxation gets its
        order of atoms, its images and its tags. If the files do not say which atoms were fixed
        (an OUTCAR alone), its constraints hold.

    Raises
    ------
    ValueError
        If `runs` are no relaxation of positions alone, or start elsewhere than `like`.
    ParentError
        If no ionic step is complete.
    """
    if fmax is not None:
        check_threshold(fmax)
    for run in runs:
        _check_is_relaxation(run)
    kept = [run for run in runs if run.steps]
    if not kept:
        names = ", ".join(run.source for run in runs)
        raise ParentError(f"{names}: no ionic step is complete, so there is nothing to import")
    _check_one_cell(kept)
    start, order = matched(kept[0], like)
    last = kept[-1]
    for run in kept:
        if run.settings.level != last.settings.level:
            logger.warning(
                "%s is at another level (%s) than the last (%s); its steps count",
                run.source,
                run.settings.level,
                last.settings.level,
            )
    threshold = fmax or (abs(last.settings.ediffg) if last.settings.ediffg < 0 else DEFAULT_FMAX)
    steps = tuple(_steps(start, kept, order))
    free = free_components(start)
    reached = [largest_force(step.forces, free) <= threshold for step in steps]
    if fmax is not None and any(reached):
        end = reached.index(True) + 1
        _tell_of_rest(last, threshold, end, len(steps))
        steps, reached = steps[:end], reached[:end]
    return Relaxation(
        method=METHODS[last.settings.ibrion],
        level=last.settings.level,
        start=start,
        steps=steps,
        stop_reason=StopReason.CONVERGED if reached[-1] else _why_it_stopped(last),
        fmax_threshold=threshold,
        integrity=integrity(start, moved(start, steps[-1].positions)),
        ended_at=steps[-1].index,
    )


def _check_is_relaxation(run: VaspRun) -> None:
    ibrion, nsw = run.settings.ibrion, run.settings.nsw
    if ibrion not in METHODS:
        what = OTHERS.get(ibrion, "something else")
        known = ", ".join(f"{key} ({name})" for key, name in sorted(METHODS.items()))
        raise ValueError(
            f"{run.source} has IBRION {ibrion} ({what}) but a relaxation has one of {known}"
        )
    if nsw < 1:
        raise ValueError(f"{run.source} has NSW {nsw}: one geometry, but no relaxation")


def _check_one_cell(runs: Sequence[VaspRun]) -> None:
    first = runs[0].start
    for run in runs:
        if not np.array_equal(run.start.numbers, first.numbers):
            raise ValueError(
                f"{run.source} holds {run.start.symbols} and {runs[0].source} {first.symbols}, "
                "which are not tries of one relaxation; import them one by one"
            )
        for number, step in enumerate(run.steps, start=1):
            change = float(np.abs(step.cell - np.asarray(first.cell)).max())
            if change > SAME_CELL:
                raise ValueError(
                    f"{run.source} changed the cell (by {change:.5f} Å at ionic step {number}) but "
                    "only relaxations at a fixed cell can be compared; take one with ISIF 2 or less"
                )


def _steps(start: Atoms, runs: Sequence[VaspRun], order: Indices) -> Iterator[Step]:
    """All ionic steps, in the order of the atoms of `start`, unwrapped from one to the next."""
    before, periodic = start.positions, runs[0].start  # for VASP all is, a slab's normal too
    steps = [(run, step) for run in runs for step in run.steps]
    for index, (run, step) in enumerate(steps):
        before = before + displacements(before, step.positions[order], periodic)
        label = step.label
        if label.scf_cycles is not None and label.scf_cycles >= run.settings.nelm:
            logger.warning(
                "%s: an ionic step took all %d electronic iterations of NELM; it counts",
                run.source,
                run.settings.nelm,
            )
        yield Step(
            index=index,
            positions=before,
            decision=Decision((QueryReason.PARENT_DRIVEN,)),
            label=replace(label, forces=label.forces[order]),
            wall_time=label.wall_time,
        )


def _why_it_stopped(run: VaspRun) -> StopReason:
    if len(run.steps) >= run.settings.nsw:
        return StopReason.MAX_STEPS
    return StopReason.OPTIMIZER_GAVE_UP


def _tell_of_rest(run: VaspRun, threshold: float, end: int, count: int) -> None:
    if end < count:
        logger.info(
            "%s reached %g eV/Å at ionic step %d; the %d after it are left out",
            run.source,
            threshold,
            end,
            count - end,
        )
