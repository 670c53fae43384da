"""What each method cost over all systems of a study, and how often it succeeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from finetuna_flows.reasons import FailureReason
from finetuna_flows.results.document_parts import Timings
from finetuna_flows.results.tables.statistics import Mean, Share, mean
from finetuna_flows.results.tables.study import Outcome, Study


@dataclass(frozen=True)
class WallTime:
    """Mean seconds of the relaxations that recorded their time, and where they went."""

    total: Mean
    ratio: Mean
    """Relative to the reference's, system by system."""
    parent: Mean
    tuning: Mean
    prediction: Mean
    """Of those that tell it from their overhead."""
    overhead: Mean


@dataclass(frozen=True)
class MethodSummary:
    """One method over the systems of a study. A mean's or a share's `n` says of how many."""

    method: str
    is_reference: bool
    converged: Share
    """Relaxations whose parent's own forces reached the threshold, among all by the method."""
    calls: Mean
    """Parent calls, over the systems of `calls_ratio`."""
    calls_ratio: Mean
    """Parent calls relative to the reference's, system by system."""
    lower: Share
    """Ends below the reference's energy by more than the tolerance."""
    within: Share
    """Ends within the tolerance of it."""
    passing: Share
    """Ends at most the tolerance above it: success by the paper's rule."""
    strict: Share
    """Successes by the strict rule; see `ComparisonRow.strict_success`."""
    failures: dict[FailureReason, int]
    """How often the strict rule failed for which reason; one relaxation may have several."""
    fmax: float | None
    """Median of the parent's largest free force at the end, eV/Å."""
    scf_cycles: Mean
    """Electronic iterations, where every label and the reference's tell them."""
    scf_ratio: Mean
    """The same relative to the reference's."""
    wall_time: WallTime


def summarize(study: Study) -> tuple[MethodSummary, ...]:
    """Summarize every method of a study, in its order."""
    return tuple(_summary(study, method) for method in study.methods)


def judged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those whose end can be measured against the reference's.

    An answer at another level of theory cannot; one without any energy is a failure.
    """
    return [each for each in outcomes if each.row.strict_success is not None]


def _summary(study: Study, method: str) -> MethodSummary:
    every = study.of(method)
    counted = [each for each in every if each.calls_ratio is not None]
    ends = judged(every)
    tolerance = study.energy_tolerance
    energies = [
        each.row.energy_difference for each in ends if each.row.energy_difference is not None
    ]
    cycles = [each.row for each in every if each.row.scf_cycles_ratio is not None]
    forces = [each.row.fmax for each in every if each.row.fmax is not None]
    return MethodSummary(
        method=method,
        is_reference=method == study.reference,
        converged=Share(sum(each.row.converged for each in every), len(every)),
        calls=mean(each.calls for each in counted if each.calls is not None),
        calls_ratio=mean(each.calls_ratio for each in counted if each.calls_ratio is not None),
        lower=Share(sum(each < -tolerance for each in energies), len(ends)),
        within=Share(sum(abs(each) <= tolerance for each in energies), len(ends)),
        passing=Share(sum(bool(each.passes) for each in ends), len(ends)),
        strict=Share(sum(bool(each.row.strict_success) for each in ends), len(ends)),
        failures=dict(Counter(reason for each in ends for reason in each.row.failures)),
        fmax=median(forces) if forces else None,
        scf_cycles=mean(row.scf_cycles for row in cycles if row.scf_cycles is not None),
        scf_ratio=mean(row.scf_cycles_ratio for row in cycles if row.scf_cycles_ratio is not None),
        wall_time=_wall_time(study, every),
    )


def _wall_time(study: Study, outcomes: Sequence[Outcome]) -> WallTime:
    timed = [each for each in outcomes if each.wall_time is not None]
    ratios = []
    for each in timed:
        reference = study.by_name.get((each.system, study.reference))
        if reference is not None and each.wall_time and reference.wall_time:
            ratios.append(each.wall_time / reference.wall_time)
    timings: list[Timings] = [each.row.timings for each in timed if each.row.timings is not None]
    predictions = [each.prediction_time for each in timed]
    return WallTime(
        total=mean(each.total for each in timings),
        ratio=mean(ratios),
        parent=mean(each.parent for each in timings),
        tuning=mean(each.tuning for each in timings),
        prediction=mean(each for each in predictions if each is not None),
        overhead=mean(each.overhead for each in timings),
    )
