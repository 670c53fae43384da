"""From the starts of VASP that make one relaxation to a `Relaxation`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import displacements, free_components, moved
from finetuna_flows.geometry import fmax as largest_force
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Relaxation, Step
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.relaxation.vasp.attempt import FinishedRun, FinishedStep, share_level
from finetuna_flows.relaxation.vasp.history import SAME_CELL
from finetuna_flows.relaxation.vasp.match import Indices, matched
from finetuna_flows.structures.connectivity import integrity

logger = logging.getLogger(__name__)

DEFAULT_FMAX = 0.03
"""eV/Å, where the run itself had no threshold for forces; that of OC20."""


def join_runs(
    runs: Sequence[FinishedRun], *, fmax: float | None = None, like: Atoms | None = None
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
        If no ionic step is complete, or none self-consistent.
    """
    if fmax is not None:
        check_threshold(fmax)
    for run in runs:
        _check_is_relaxation(run)
    kept = [run for run in runs if run.steps]
    if not kept:
        names = ", ".join(run.source for run in runs)
        told = "".join(f"; {words}" for run in runs for words in run.told[:1])
        raise ParentError(
            f"no ionic step of {names} is complete, so there is nothing to import{told}"
        )
    _check_one_cell(kept)
    start, order = matched(kept[0], like)
    last = kept[-1]
    for run in kept:
        if not share_level(run, last):
            logger.warning(
                "%s is at another level (%s) than the last (%s); its steps count",
                run.source,
                run.settings.level,
                last.settings.level,
            )
    threshold = fmax or (abs(last.settings.ediffg) if last.settings.ediffg < 0 else DEFAULT_FMAX)
    steps = tuple(_steps(start, kept, order))
    free = free_components(start)
    settled = [_is_settled(run, step) for run in kept for step in run.steps]
    reached = [
        good and largest_force(step.forces, free) <= threshold
        for good, step in zip(settled, steps, strict=True)
    ]
    lost = sum(len(run.lost) for run in runs)
    if fmax is not None and any(reached):
        count = reached.index(True) + 1
        _tell_of_rest(last, threshold, count, len(steps))
        steps, settled = steps[:count], settled[:count]
        lost = _lost_before(runs, count)
    end = _newest(settled, last)
    met_its_own = settled[-1] and largest_force(steps[-1].forces, free) <= -last.settings.ediffg
    stop = StopReason.NOT_RECORDED  # the very last did not come to its first label
    if reached[end]:
        stop = StopReason.CONVERGED
    elif last is runs[-1] and not _lost_its_end(last):
        stop = _why_it_stopped(last, met_its_own=met_its_own)
    return Relaxation(
        method=last.settings.motion.method,
        level=last.settings.level,
        start=start,
        steps=steps,
        stop_reason=stop,
        fmax_threshold=threshold,
        integrity=integrity(start, moved(start, steps[end].positions)),
        ended_at=end,
        lost_calls=lost,
        inferred=tuple(_inferred(runs)),
    )


def _lost_before(runs: Sequence[FinishedRun], count: int) -> int:
    """How many ionic steps are lost before as many as `count` that are complete."""
    complete = list(
        accumulate(
            int(number not in run.lost) for run in runs for number in range(1, run.n_steps + 1)
        )
    )
    return complete.index(count) + 1 - count


def _lost_its_end(run: FinishedRun) -> bool:
    return run.n_steps in run.lost and run.n_steps < run.settings.nsw


def _inferred(runs: Sequence[FinishedRun]) -> Iterator[str]:
    """What the runs do not say of themselves but show."""
    motions = {run.settings.motion.method: run.settings.motion.evidence for run in runs}
    if len(motions) > 1:
        yield f"relaxed by {' and then by '.join(motions)}"
    for method, evidence in motions.items():
        if evidence:
            yield f"relaxed by {method}, as {evidence} says"
    for run in runs:
        yield from run.notes


def _check_is_relaxation(run: FinishedRun) -> None:
    motion = run.settings.motion
    if not motion.obstacles:
        return
    told = ""
    if run.learned:
        told = (
            f" (of its steps {len(run.steps)} are of DFT and {run.learned} of the force field "
            "alone, which are no labels)"
        )
    raise ValueError(f"{run.source} {motion.refusal}{told}")


def _check_one_cell(runs: Sequence[FinishedRun]) -> None:
    first = runs[0].start
    for run in runs:
        if not np.array_equal(run.start.numbers, first.numbers):
            raise ValueError(
                f"{run.source} holds {run.start.symbols} and {runs[0].source} {first.symbols}, "
                "which are not tries of one relaxation; import them one by one"
            )
        for number, step in run.numbered.items():
            change = float(np.abs(step.cell - np.asarray(first.cell)).max())
            if change > SAME_CELL:
                raise ValueError(
                    f"{run.source} changed the cell (by {change:.5f} Å at ionic step {number}) but "
                    "only relaxations at a fixed cell can be compared; take one with ISIF 2 or less"
                )


def _steps(start: Atoms, runs: Sequence[FinishedRun], order: Indices) -> Iterator[Step]:
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


def _is_settled(run: FinishedRun, step: FinishedStep) -> bool:
    """Whether the electrons were self-consistent: not broken off, not out of iterations."""
    return step.last_change <= run.settings.ediff


def _newest(settled: Sequence[bool], run: FinishedRun) -> int:
    """Where the relaxation ended: the last ionic step that is self-consistent."""
    found = [index for index, good in enumerate(settled) if good]
    if not found:
        raise ParentError(f"{run.source}: no ionic step is self-consistent to EDIFF")
    if found[-1] < len(settled) - 1:
        logger.warning(
            "%s: the %d ionic steps after step %d are not self-consistent; they count, but the "
            "relaxation ends before them",
            run.source,
            len(settled) - 1 - found[-1],
            found[-1] + 1,
        )
    return found[-1]


def _why_it_stopped(run: FinishedRun, *, met_its_own: bool) -> StopReason:
    """Why a run ended that did not reach the threshold.

    Parameters
    ----------
    run
        The last.
    met_its_own
        Whether it reached the threshold of forces that it had itself, which is a looser one.
    """
    numbered = run.numbered
    last_two = [number for number in (run.n_steps - 1, run.n_steps) if number in numbered]
    energies = [numbered[number].label.force_energy for number in last_two]
    if len(energies) == 2 and abs(energies[1] - energies[0]) < run.settings.ediffg and run.whole:
        return StopReason.OTHER_CRITERION  # EDIFFG is negative where it is a force
    if met_its_own and run.whole:
        return StopReason.OTHER_CRITERION
    if run.n_steps >= run.settings.nsw:
        return StopReason.MAX_STEPS
    return StopReason.OPTIMIZER_GAVE_UP if run.gave_up else StopReason.NOT_RECORDED


def _tell_of_rest(run: FinishedRun, threshold: float, end: int, count: int) -> None:
    if end < count:
        logger.info(
            "%s reached %g eV/Å at ionic step %d; the %d after it are left out",
            run.source,
            threshold,
            end,
            count - end,
        )
