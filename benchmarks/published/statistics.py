"""Means over systems: what a method costs, how often it succeeds, and against K-steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.published.judgement import Measured
from benchmarks.published.runs import Outcome
from benchmarks.published.systems import K_STEPS, PublishedSystem

PHASES = ("parent", "prediction", "tuning", "overhead")


@dataclass(frozen=True)
class Mean:
    """Of some numbers, with the standard error of it."""

    value: float
    error: float | None
    """None for a single number."""
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean | None:
        """Average; None of nothing."""
        if not values:
            return None
        error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        return cls(float(np.mean(values)), error, len(values))


@dataclass(frozen=True)
class Summary:
    """One method over the systems of this run; means are over those that it finished."""

    method: str
    n: int
    """Systems that it was tried on."""
    failed: int
    """Relaxations that broke off with an error; they count as no success."""
    success: int
    validated: int | None
    """None for published runs: nothing was fitted there."""
    percent: Mean | None
    """Parent calls as % of VASP CG's, mean of the ratios."""
    calls: Mean | None
    surrogate_steps: Mean | None
    approach: Mean | None
    settling: Mean | None
    polishing: Mean | None
    seconds: dict[str, float]
    """Mean by phase; empty for published runs."""


@dataclass(frozen=True)
class Pairing:
    """A method beside the published K-steps, on the systems where both exist."""

    method: str
    percent: Mean | None
    k_steps_percent: Mean | None
    difference: Mean | None
    """Of the percentages, system by system."""
    success: int
    validated: int
    k_steps_success: int
    fewer: int
    """Systems on which the method took fewer calls."""
    equal: int


@dataclass(frozen=True)
class Choice:
    """What one gets who chooses for each system by all others.

    The method with the most validated ends there, and of equals the one with the fewest calls.
    """

    methods: tuple[str, ...]
    """To choose from: those that finished every system."""
    percent: Mean | None
    """Parent calls as % of VASP CG's, on the systems left out."""
    success: int
    validated: int
    chosen: dict[str, int]
    """How often, by method."""


def summarize(method: str, outcomes: Sequence[Outcome]) -> Summary:
    """Average one method's outcomes."""
    done = [each.measured for each in outcomes if each.measured is not None]

    def mean(name: str) -> Mean | None:
        return Mean.of([getattr(each, name) for each in done])

    return Summary(
        method=method,
        n=len(outcomes),
        failed=len(outcomes) - len(done),
        success=sum(each.success for each in done),
        validated=sum(each.validated for each in done),
        percent=mean("percent"),
        calls=mean("calls"),
        surrogate_steps=mean("surrogate_steps"),
        approach=mean("approach"),
        settling=mean("settling"),
        polishing=mean("polishing"),
        seconds={
            phase: float(np.mean([each.seconds[phase] for each in done]))
            for phase in PHASES
            if done
        },
    )


def summarize_published(method: str, systems: Sequence[PublishedSystem]) -> Summary:
    """Average the released runs of a method."""
    runs = [(system.runs[method], system) for system in systems if method in system.runs]
    return Summary(
        method=method,
        n=len(runs),
        failed=0,
        success=sum(run.success for run, _ in runs),
        validated=None,
        percent=Mean.of([100 * run.calls / system.cg_calls for run, system in runs]),
        calls=Mean.of([run.calls for run, _ in runs]),
        surrogate_steps=None,
        approach=None,
        settling=None,
        polishing=None,
        seconds={},
    )


def pair(method: str, outcomes: Sequence[Outcome], systems: Sequence[PublishedSystem]) -> Pairing:
    """Compare with the released K-steps runs where both have finished."""
    by_sid = {system.sid: system for system in systems}
    both: list[tuple[Measured, PublishedSystem]] = [
        (each.measured, by_sid[each.sid])
        for each in outcomes
        if each.measured is not None and K_STEPS in by_sid[each.sid].runs
    ]
    theirs = [100 * system.runs[K_STEPS].calls / system.cg_calls for _, system in both]
    ours = [measured.percent for measured, _ in both]
    gained = [system.runs[K_STEPS].calls - measured.calls for measured, system in both]
    return Pairing(
        method=method,
        percent=Mean.of(ours),
        k_steps_percent=Mean.of(theirs),
        difference=Mean.of([mine - its for mine, its in zip(ours, theirs, strict=True)]),
        success=sum(measured.success for measured, _ in both),
        validated=sum(measured.validated for measured, _ in both),
        k_steps_success=sum(system.runs[K_STEPS].success for _, system in both),
        fewer=sum(each > 0 for each in gained),
        equal=sum(each == 0 for each in gained),
    )


def choose_by_others(of: Mapping[str, Sequence[Outcome]]) -> Choice | None:
    """Choose by leaving one system out; None where there is no choice, or one system only.

    Parameters
    ----------
    of
        The outcomes of each method, on the same systems.
    """
    sids = sorted({each.sid for outcomes in of.values() for each in outcomes})
    done = {
        name: {each.sid: each.measured for each in outcomes if each.measured is not None}
        for name, outcomes in of.items()
    }
    finished = {name: measured for name, measured in done.items() if len(measured) == len(sids)}
    if len(finished) < 2 or len(sids) < 2:
        return None
    got: list[Measured] = []
    chosen = dict.fromkeys(finished, 0)
    for left_out in sids:
        elsewhere = {
            name: [one for sid, one in measured.items() if sid != left_out]
            for name, measured in finished.items()
        }
        ranks = {name: _rank(others) for name, others in elsewhere.items()}
        best = min(ranks, key=ranks.__getitem__)
        chosen[best] += 1
        got.append(finished[best][left_out])
    return Choice(
        methods=tuple(finished),
        percent=Mean.of([each.percent for each in got]),
        success=sum(each.success for each in got),
        validated=sum(each.validated for each in got),
        chosen={name: count for name, count in chosen.items() if count},
    )


def _rank(measured: Sequence[Measured]) -> tuple[int, float]:
    """Lower is better."""
    return -sum(each.validated for each in measured), sum(each.percent for each in measured)
