"""Methods side by side: Table 1 of the FINETUNA paper, with what else they cost and why they fail.

J. Musielewicz, X. Wang, T. Tian, Z. Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence

from finetuna_flows.reasons import FailureReason
from finetuna_flows.results.tables.captions import (
    absences,
    cautions,
    compared,
    rules_of_success,
    subject,
)
from finetuna_flows.results.tables.layout import Column, TextTable
from finetuna_flows.results.tables.methods import MethodSummary
from finetuna_flows.results.tables.numbers import (
    amount,
    percent,
    percent_with_interval,
    plain,
    with_error,
)
from finetuna_flows.results.tables.statistics import Mean, Share
from finetuna_flows.results.tables.study import Study


def method_tables(study: Study, summaries: Sequence[MethodSummary]) -> list[TextTable]:
    """Speed and accuracy; then costs where any are known, and failures where there are any."""
    tables = [_main(study, summaries)]
    if any(each.scf_cycles.n or each.wall_time.total.n for each in summaries):
        tables.append(_costs(study, summaries))
    if any(each.failures for each in summaries):
        tables.append(_failures(study, summaries))
    return tables


def _main(study: Study, summaries: Sequence[MethodSummary]) -> TextTable:
    tolerance = f"{study.energy_tolerance:g}"
    return TextTable(
        label="methods",
        title=f"Parent calls and energies of {subject(study)}",
        columns=(
            Column("method", is_text=True),
            Column("n"),
            Column("calls", "% of ref."),
            Column("calls", "mean"),
            Column(f"E < −{tolerance}", "% [95 %]"),
            Column(f"±{tolerance}", "% [95 %]"),
            Column(f"E ≤ +{tolerance}", "% [95 %]"),
            Column("strict", "% [95 %]"),
            Column("converged"),
            Column("fmax", "eV/Å"),
        ),
        rows=tuple(
            (
                each.method,
                str(each.calls_ratio.n),
                _relative(each, each.calls_ratio),
                amount(each.calls.value),
                _rate(each, each.lower),
                _rate(each, each.within),
                _rate(each, each.passing),
                _rate(each, each.strict),
                f"{each.converged.count}/{each.converged.n}",
                plain(each.fmax, 3),
            )
            for each in summaries
        ),
        notes=(
            *compared(study),
            "calls: mean of the ratios of single systems ± standard error (s/√n), and mean "
            "number, over the n systems that have both the method and the reference.",
            rules_of_success(study),
            "In brackets Wilson's 95 % intervals. fmax: median of the parent's largest free force "
            "at the end.",
            *absences(study),
            *cautions(study),
        ),
    )


def _costs(study: Study, summaries: Sequence[MethodSummary]) -> TextTable:
    return TextTable(
        label="costs",
        title=f"SCF cycles and wall time of {subject(study)}",
        columns=(
            Column("method", is_text=True),
            Column("n", "SCF"),
            Column("SCF", "% of ref."),
            Column("SCF", "mean"),
            Column("n", "time"),
            Column("time", "% of ref."),
            Column("time", "s"),
            Column("parent", "s"),
            Column("tuning", "s"),
            Column("prediction", "s"),
            Column("overhead", "s"),
        ),
        rows=tuple(
            (
                each.method,
                str(each.scf_ratio.n),
                _relative(each, each.scf_ratio),
                amount(each.scf_cycles.value),
                str(each.wall_time.total.n),
                _relative(each, each.wall_time.ratio),
                *(
                    amount(part.value)
                    for part in (
                        each.wall_time.total,
                        each.wall_time.parent,
                        each.wall_time.tuning,
                        each.wall_time.prediction,
                        each.wall_time.overhead,
                    )
                ),
            )
            for each in summaries
        ),
        notes=(
            *compared(study),
            "SCF cycles and times are of all labels, whatever the rule: means of the ratios of "
            "single systems ± standard error, and means; the time is the sum of the four parts "
            "beside it. n: relaxations that tell.",
            *_of_fewer(summaries),
        ),
    )


def _of_fewer(summaries: Sequence[MethodSummary]) -> list[str]:
    """Which means in the table of costs are of fewer relaxations than the n beside them."""
    said = []
    for each in summaries:
        n, ratio, told = (
            mean.n
            for mean in (each.wall_time.total, each.wall_time.ratio, each.wall_time.prediction)
        )
        if ratio < n:
            said.append(
                f"The time of {each.method} relative to the reference's is of {ratio} of its {n}, "
                "for lack of the reference's."
            )
        if told < n:
            said.append(
                f"Predictions by {each.method} are not timed in {n - told} of its {n}, where they "
                "are part of the overhead."
            )
    return said


def _failures(study: Study, summaries: Sequence[MethodSummary]) -> TextTable:
    seen = [
        reason for reason in FailureReason if any(reason in each.failures for each in summaries)
    ]
    meanings = "; ".join(f"{_words(reason)}: {reason.sentence}" for reason in seen)
    return TextTable(
        label="failures",
        title=f"Failures by the strict rule, {subject(study)}",
        columns=(
            Column("method", is_text=True),
            Column("n"),
            Column("failed"),
            *(Column(_words(reason)) for reason in seen),
        ),
        rows=tuple(
            (
                each.method,
                str(each.strict.n),
                str(each.strict.n - each.strict.count),
                *(str(each.failures.get(reason, 0)) for reason in seen),
            )
            for each in summaries
        ),
        notes=(
            *compared(study),
            rules_of_success(study),
            f"One relaxation can have several reasons. {meanings}.",
        ),
    )


def _words(reason: FailureReason) -> str:
    return reason.value.replace("_", " ")


def _relative(summary: MethodSummary, ratio: Mean) -> str:
    """In percent; the reference's own is certain."""
    if summary.is_reference and ratio.value is not None:
        return plain(100.0, 0)
    return with_error(ratio, 100.0)


def _rate(summary: MethodSummary, share: Share) -> str:
    """In percent; the reference is what others are measured against, so its own has no error."""
    return percent(share) if summary.is_reference else percent_with_interval(share)
