"""What tables are made of: one outcome for each system and method, counted by one rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum

from emmet.core.types.enums import TaskState

from finetuna_flows.reasons import FailureReason
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow
from finetuna_flows.results.tables.counting import Count

KEY_SHOWN = 6
"""Characters of a system's key that tell apart what is called the same."""
EQUAL_COSTS = 9
"""Decimals of mean costs, relative to the reference's, that order methods."""


@dataclass(frozen=True)
class Outcome:
    """One method on one system; None is what cannot be said."""

    system: str
    """As in `Study.systems`."""
    row: ComparisonRow
    """What the comparison says; its ratio counts every label."""
    calls: int | None
    """Parent calls that count; None if the parent never answered."""
    calls_ratio: float | None
    """The same relative to the reference's."""

    @property
    def passes(self) -> bool | None:
        """The paper's rule: at most so much above the reference; without an energy it fails."""
        if FailureReason.NO_ENERGY in self.row.failures:
            return False
        return self.row.passes_energy_test

    @property
    def wall_time(self) -> float | None:
        """Seconds; None where the run did not record any."""
        timings = self.row.timings
        return timings.total if timings is not None and timings.total > 0 else None

    @property
    def prediction_time(self) -> float | None:
        """Seconds; None where the run did not tell them apart from its overhead.

        So it is where none is recorded although a surrogate was tuned, hence asked.
        """
        timings = self.row.timings
        if timings is None or self.wall_time is None:
            return None
        return None if timings.tuning > 0 and not timings.prediction else timings.prediction


@dataclass(frozen=True)
class Study:
    """Several systems, the methods on each, one reference, one rule of counting."""

    reference: str
    """Method that the others are measured against."""
    methods: tuple[str, ...]
    """The reference first, then the others as asked for, or by what they cost, dearest first."""
    systems: tuple[str, ...]
    """What they are called, sorted."""
    energy_tolerance: float
    """eV above the reference that still counts as success."""
    count: Count
    outcomes: tuple[Outcome, ...]
    """Of every method and system for which there is a relaxation, by system, then by method."""

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Outcome]:
        """Outcomes by system and method."""
        return {(each.system, each.row.method): each for each in self.outcomes}

    def of(self, method: str) -> list[Outcome]:
        """Outcomes of one method, by system."""
        return [each for each in self.outcomes if each.row.method == method]

    def pairs(self, first: str, second: str) -> list[tuple[Outcome, Outcome]]:
        """Outcomes of two methods on the systems that have both."""
        found = self.by_name
        return [
            (found[system, first], found[system, second])
            for system in self.systems
            if (system, first) in found and (system, second) in found
        ]


def study_of(
    comparisons: Sequence[ComparisonDoc],
    *,
    methods: Sequence[str] | None = None,
    count: Count = Count.FRAMES,
) -> Study:
    """Put comparisons of systems together; the order in which they come does not matter.

    Parameters
    ----------
    comparisons
        One a system, all against the same method with the same tolerance.
    methods
        Those to show, besides the reference; None: all.
    count
        The counting rule.

    Raises
    ------
    ValueError
        If there is none, one system comes twice, they are not measured alike, or a method is not
        in any of them.
    """
    reference, tolerance = _common(comparisons)
    known = {row.method for doc in comparisons for row in doc.rows} | {reference}
    unknown = [method for method in methods or () if method not in known]
    if unknown:
        raise ValueError(
            f"`methods` names {', '.join(map(repr, unknown))} but these comparisons hold "
            f"{', '.join(sorted(known))}"
        )
    chosen = known if methods is None else {reference, *methods}
    outcomes = [
        outcome
        for name, doc in sorted(by_system(comparisons).items())
        for outcome in _outcomes(name, doc, count)
        if outcome.row.method in chosen
    ]
    ordered = _by_cost(chosen, outcomes) if methods is None else list(methods)
    shown = tuple(dict.fromkeys((reference, *ordered)))
    outcomes.sort(key=lambda each: (each.system, shown.index(each.row.method)))
    systems = tuple(sorted(by_system(comparisons)))
    return Study(reference, shown, systems, tolerance, count, tuple(outcomes))


def _common(comparisons: Sequence[ComparisonDoc]) -> tuple[str, float]:
    """The reference and the tolerance of all."""
    measured = {(doc.reference_method, doc.energy_tolerance) for doc in comparisons}
    if len(measured) != 1:
        said = ", ".join(f"{name} within {eV:g} eV" for name, eV in sorted(measured))
        raise ValueError(
            f"the comparisons are against {said or 'nothing: there is none'}; a table needs one "
            "reference and one tolerance for all systems"
        )
    keys = Counter(doc.system_key for doc in comparisons if doc.system_key)
    twice = [doc for doc in comparisons if keys[doc.system_key] > 1]
    if twice:
        names = ", ".join(sorted(_called(doc) for doc in twice))
        raise ValueError(
            f"several comparisons are of one geometry ({names}), which would count it more than "
            "once; give one for each system"
        )
    return next(iter(measured))


def by_system(comparisons: Sequence[ComparisonDoc]) -> dict[str, ComparisonDoc]:
    """Each by what it is called, or by that and its key where several are called so."""
    calls = Counter(map(_called, comparisons))
    return {
        _called(doc)
        if calls[_called(doc)] == 1
        else f"{_called(doc)} ({doc.system_key[:KEY_SHOWN] or doc.uuid[:KEY_SHOWN]})": doc
        for doc in comparisons
    }


def _called(doc: ComparisonDoc) -> str:
    return doc.system or doc.formula_pretty or doc.name


def _outcomes(system: str, doc: ComparisonDoc, count: Count) -> list[Outcome]:
    rows = {row.method: row for row in doc.rows if row.state is not TaskState.ERROR}
    reference = rows.get(doc.reference_method)
    base = count.of(reference.parent_calls) if reference is not None else None
    counted = {method: count.of(row.parent_calls) for method, row in rows.items()}
    return [
        Outcome(
            system=system,
            row=row,
            calls=counted[method],
            calls_ratio=_ratio(counted[method], base),
        )
        for method, row in rows.items()
    ]


def _ratio(calls: int | None, base: int | None) -> float | None:
    return None if calls is None or not base else calls / base


def _by_cost(methods: set[str], outcomes: Sequence[Outcome]) -> list[str]:
    """Dearest first, equally dear ones by name; those whose cost is not known last."""
    costs: dict[str, list[float]] = {method: [] for method in methods}
    for each in outcomes:
        if each.calls_ratio is not None:
            costs[each.row.method].append(each.calls_ratio)
    average = {
        method: round(fsum(each) / len(each), EQUAL_COSTS) for method, each in costs.items() if each
    }
    return sorted(methods, key=lambda method: (-average.get(method, -1.0), method))
