"""Every system with every method: what it took, where it ended."""

from __future__ import annotations

from finetuna_flows.results.tables.captions import (
    absences,
    cautions,
    compared,
    rules_of_success,
    subject,
)
from finetuna_flows.results.tables.layout import Column, TextTable
from finetuna_flows.results.tables.numbers import DASH, plain, signed
from finetuna_flows.results.tables.study import Outcome, Study

SUCCESS = {True: "✓", False: "✗", None: DASH}
PLACE = {True: "=", False: "≠", None: DASH}
WHOLE = 100.0
"""meV from which on no decimal is printed."""


def system_table(study: Study) -> TextTable:
    """A row a system, a column a method."""
    columns = [_calls(study), *(_column(study, method) for method in study.methods[1:])]
    return TextTable(
        label="systems",
        title=f"Parent calls and ends of {subject(study)}",
        columns=(
            Column("system", is_text=True),
            Column(study.reference, "calls"),
            *(Column(method, "calls (%), E/meV") for method in study.methods[1:]),
        ),
        rows=tuple(zip(study.systems, *columns, strict=True)),
        notes=(
            *compared(study),
            "Of each method: calls, in brackets percent of the reference's; E in meV; = where the "
            "end is the reference's minimum, ≠ where it is another one; ✓ for success by the "
            "strict rule, ✗ for none.",
            rules_of_success(study),
            *absences(study),
            *cautions(study),
        ),
    )


def _calls(study: Study) -> list[str]:
    found = [study.by_name.get((system, study.reference)) for system in study.systems]
    return [plain(each.calls, 0) if each else DASH for each in found]


def _column(study: Study, method: str) -> list[str]:
    """Calls and ends, each below each."""
    outcomes = [study.by_name.get((system, method)) for system in study.systems]
    ends = [_end(outcome) if outcome else "" for outcome in outcomes]
    width = max(map(len, ends))
    return [
        f"{_cost(outcome)}  {end:>{width}}" if outcome else DASH
        for outcome, end in zip(outcomes, ends, strict=True)
    ]


def _cost(outcome: Outcome) -> str:
    ratio = outcome.calls_ratio
    return f"{plain(outcome.calls, 0)} ({plain(ratio * 100 if ratio is not None else None, 0)})"


def _end(outcome: Outcome) -> str:
    row = outcome.row
    shift = row.energy_difference
    energy = DASH if shift is None else signed(shift * 1000, int(abs(shift) * 1000 < WHOLE))
    return f"{energy} {PLACE[row.same_minimum]} {SUCCESS[row.strict_success]}"
