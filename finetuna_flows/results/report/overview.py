"""The first page of a report: what was compared, and how the methods did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain

from finetuna_flows.reasons import FailureReason, Integrity, QueryReason, StopReason
from finetuna_flows.results.report.elements import looks
from finetuna_flows.results.report.rows import Row
from finetuna_flows.results.tables.layout import TextTable
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.study import Study

MOST_PAIRED = 6
"""Methods; of more of them each is paired with the reference alone."""


def overview(
    study: Study | None, rows: list[Row], symbols: set[str], *, title: str, detailed: bool
) -> Mapping[str, object]:
    """Everything that the page says besides the lines of single relaxations.

    Parameters
    ----------
    study
        None where nothing was compared.
    rows
        Of all relaxations.
    symbols
        Elements that are drawn.
    title
        Of the report.
    detailed
        Whether the file holds the details of each relaxation.
    """
    return {
        "title": title,
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "version": version("finetuna-flows"),
        "systems": len({row.key for row in rows}),
        "detailed": detailed,
        "methods": _methods(study, rows),
        "elements": looks(symbols),
        "sentences": {
            reason.value: reason.sentence
            for reason in chain(QueryReason, StopReason, Integrity, FailureReason)
        },
        **(_compared(study) if study else _not_compared()),
    }


def _methods(study: Study | None, rows: list[Row]) -> list[str]:
    """In the order of their colours: the study's first, then what else there is."""
    known = study.methods if study else ()
    return list(dict.fromkeys((*known, *sorted({row.name for row in rows}))))


def _compared(study: Study) -> Mapping[str, object]:
    tables = StudyTables(study, (Part.METHODS,))
    against = study.reference if len(study.methods) > MOST_PAIRED else None
    pairs = StudyTables(study, (Part.PAIRS,), against) if len(study.methods) > 1 else None
    return {
        "reference": study.reference,
        "tolerance": study.energy_tolerance,
        "count": study.count.value,
        "counting": study.count.sentence,
        "compared": len(study.systems),
        "tables": [_table(each) for each in tables.texts],
        "pairs": [_table(each) for each in pairs.texts] if pairs else [],
        "summary": tables.records(Part.METHODS),
    }


def _not_compared() -> Mapping[str, object]:
    return {
        "reference": None,
        "tolerance": None,
        "count": None,
        "counting": None,
        "compared": 0,
        "tables": [],
        "pairs": [],
        "summary": [],
    }


def _table(table: TextTable) -> Mapping[str, object]:
    return {
        "title": table.title,
        "columns": [
            {"name": column.name, "unit": column.unit, "text": column.is_text}
            for column in table.columns
        ],
        "rows": table.rows,
        "notes": table.notes,
    }
