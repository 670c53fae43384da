"""Two methods on the same systems: whether they differ, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

from finetuna_flows.results.tables.bootstrap import RESAMPLES, Difference, bootstrap_mean
from finetuna_flows.results.tables.methods import judged
from finetuna_flows.results.tables.statistics import LEVEL, sign_test
from finetuna_flows.results.tables.study import Outcome, Study

ALIKE = "not different"
TOO_FEW = "too few systems"
LEAST = 10
"""Systems from which on an interval is trusted to tell methods apart: of 10 normal values it holds
the mean in 92 % of the cases, of 6 only in 84 %; see `bootstrap_mean`."""
LEAST_OF_SIGNS = 6
"""Systems from which on a `sign_test` can tell methods apart: 5 of 5 have p = 0.0625."""


@dataclass(frozen=True)
class Contest:
    """On how many systems the first method has less, as much, or more."""

    less: int
    equal: int
    more: int

    @property
    def n(self) -> int:
        """Systems."""
        return self.less + self.equal + self.more

    @property
    def p(self) -> float | None:
        """Of the exact `sign_test`, which large differences do not sway; None of no system."""
        return sign_test(self.less, self.more) if self.n else None


@dataclass(frozen=True)
class Outmatch:
    """How two methods succeed on the same systems."""

    first: int
    """Successes of the first."""
    second: int
    """Successes of the second."""
    only_first: int
    """Systems on which only the first succeeds."""
    only_second: int
    """Systems on which only the second does."""
    n: int
    """Systems."""

    @property
    def p(self) -> float | None:
        """Of the exact McNemar test, `sign_test`; None of no system."""
        return sign_test(self.only_first, self.only_second) if self.n else None

    @property
    def verdict(self) -> str | None:
        """In words; None of no system."""
        if self.p is None:
            return None
        if self.n < LEAST_OF_SIGNS:
            return TOO_FEW
        if self.p >= 1 - LEVEL:
            return ALIKE
        return "more often" if self.first > self.second else "less often"


@dataclass(frozen=True)
class PairedComparison:
    """The first method less the second, over the systems that both have."""

    first: str
    second: str
    calls: Difference
    """Of parent calls."""
    calls_ratio: Difference
    """Of parent calls relative to the reference's."""
    fewer_calls: Contest
    energy: Difference
    """Of the energies at the ends, eV; where both are of one level and one set of fixed atoms."""
    lower_energy: Contest
    """Ends within the energy tolerance of each other are equal."""
    passing: Outmatch | None
    """By the paper's rule; None where one of both is the reference, by which it is defined."""
    strict: Outmatch | None
    """By the strict rule; None likewise."""

    @property
    def verdict(self) -> str | None:
        """Whether the first takes fewer calls, in words, by `calls_ratio`; None of no system."""
        ratio = self.calls_ratio
        if not ratio.n:
            return None
        if ratio.low is None or ratio.high is None or ratio.n < LEAST:
            return TOO_FEW
        if ratio.high < 0:
            return "fewer"
        return "more" if ratio.low > 0 else ALIKE

    @property
    def energy_verdict(self) -> str | None:
        """Whether the first ends lower, in words, by how often it does; None of no system.

        Not by the mean, which one structure that is lower by an eV makes its own.
        """
        p = self.lower_energy.p
        if p is None:
            return None
        if self.lower_energy.n < LEAST_OF_SIGNS:
            return TOO_FEW
        if p >= 1 - LEVEL:
            return ALIKE
        return "lower" if self.lower_energy.less > self.lower_energy.more else "higher"


def paired(
    study: Study, *, against: str | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[PairedComparison, ...]:
    """Compare methods two by two, the later in the study's order with the earlier.

    Parameters
    ----------
    study
        Which methods, on which systems.
    against
        Compare each with this one alone; None: every pair.
    seed, resamples
        Of the bootstrap.

    Raises
    ------
    ValueError
        If `against` is not among the study's methods.
    """
    if against is not None and against not in study.methods:
        raise ValueError(f"`against` is {against!r} but must be one of {', '.join(study.methods)}")
    if against is None:
        chosen = [(later, earlier) for earlier, later in combinations(study.methods, 2)]
    else:
        chosen = [(method, against) for method in study.methods if method != against]
    return tuple(_compare(study, *names, seed, resamples) for names in chosen)


def _compare(study: Study, first: str, second: str, seed: int, resamples: int) -> PairedComparison:
    both = study.pairs(first, second)
    calls = [
        float(a.calls - b.calls) for a, b in both if a.calls is not None and b.calls is not None
    ]
    ratios = [
        a.calls_ratio - b.calls_ratio
        for a, b in both
        if a.calls_ratio is not None and b.calls_ratio is not None
    ]
    energies = [
        a.row.energy - b.row.energy
        for a, b in both
        if a.row.energy is not None
        and b.row.energy is not None
        and a.row.level_of_theory == b.row.level_of_theory
        and len(judged((a, b))) != 1  # else other atoms are fixed in one of both
    ]
    measured = study.reference in (first, second)
    return PairedComparison(
        first=first,
        second=second,
        calls=bootstrap_mean(calls, seed=seed, resamples=resamples),
        calls_ratio=bootstrap_mean(ratios, seed=seed, resamples=resamples),
        fewer_calls=_contest(calls, 0.0),
        energy=bootstrap_mean(energies, seed=seed, resamples=resamples),
        lower_energy=_contest(energies, study.energy_tolerance),
        passing=None if measured else _outmatch(both, lambda each: bool(each.passes)),
        strict=None if measured else _outmatch(both, lambda each: bool(each.row.strict_success)),
    )


def _contest(differences: Iterable[float], tolerance: float) -> Contest:
    known = list(differences)
    less = sum(each < -tolerance for each in known)
    more = sum(each > tolerance for each in known)
    return Contest(less, len(known) - less - more, more)


def _outmatch(
    both: Iterable[tuple[Outcome, Outcome]], succeeds: Callable[[Outcome], bool]
) -> Outmatch:
    ends = [(succeeds(a), succeeds(b)) for a, b in both if len(judged((a, b))) == 2]
    return Outmatch(
        first=sum(a for a, _ in ends),
        second=sum(b for _, b in ends),
        only_first=sum(a and not b for a, b in ends),
        only_second=sum(b and not a for a, b in ends),
        n=len(ends),
    )
