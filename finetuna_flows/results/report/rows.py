"""The table of a report: what each relaxation says in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.report.rounding import ENERGY, FORCE, LENGTH, RATIO, TIME, rounded
from finetuna_flows.results.tables.study import Outcome

BY_WORDS = frozenset(
    ("key", "system", "formula", "adsorbate", "name", "method", "mode", "stop", "integrity", "tags")
)
"""Columns that say the same few words again and again."""


@dataclass(frozen=True)
class Row:
    """One relaxation. What is measured against a reference is None where there is none."""

    uuid: str
    key: str
    """Of the system: what started from one geometry has one key."""
    system: str
    """What the user calls it, else its formula."""
    formula: str
    adsorbate: str | None
    name: str
    """What comparisons call the way it was relaxed."""
    method: str
    """How it was relaxed."""
    mode: str | None
    """What the parent kept between labels."""
    calls: int
    """Parent calls, each label counted."""
    ratio: float | None
    """The same relative to the reference's, by the report's counting rule."""
    scf: int | None
    scf_ratio: float | None
    time: float | None
    """Wall time, s; None where it was not recorded. Its parts follow."""
    parent: float | None
    tuning: float | None
    prediction: float | None
    overhead: float | None
    energy: float | None
    """eV."""
    difference: float | None
    """The same minus the reference's, eV."""
    fmax: float | None
    """eV/Å."""
    same: bool | None
    """Whether it ended in the reference's minimum."""
    rmsd: float | None
    """Å from the reference's end."""
    passes: bool | None
    """The paper's test of success."""
    strict: bool | None
    """The strict one."""
    failures: str
    """Why it fails the strict one."""
    converged: bool
    stop: str
    integrity: str
    compared: bool
    """Whether it is measured against the reference."""
    steps: int
    sites: int
    completed: str
    """UTC, to the minute."""
    tags: str
    note: str
    """What the numbers do not say."""


def row_of(doc: RelaxationDoc, key: str, outcome: Outcome | None) -> Row:
    """One line of the table, rounded.

    Parameters
    ----------
    doc
        Its trajectory and ledger are not looked at.
    key
        Of its system.
    outcome
        What a study says of it; None where it is in none.
    """
    row = outcome.row if outcome else None
    time = doc.timings if doc.timings.total > 0 else None
    return Row(
        uuid=doc.uuid,
        key=key,
        system=outcome.system if outcome else doc.system or doc.formula_pretty or key,
        formula=doc.composition.hill_formula.replace(" ", "") if doc.composition else "",
        adsorbate=doc.adsorbate,
        name=doc.name,
        method=doc.method,
        mode=doc.parent_mode,
        calls=doc.parent_calls,
        ratio=rounded(outcome.calls_ratio, RATIO) if outcome else None,
        scf=doc.scf_cycles,
        scf_ratio=rounded(row.scf_cycles_ratio, RATIO) if row else None,
        time=rounded(time.total, TIME) if time else None,
        parent=rounded(time.parent, TIME) if time else None,
        tuning=rounded(time.tuning, TIME) if time else None,
        prediction=rounded(time.prediction, TIME) if time else None,
        overhead=rounded(time.overhead, TIME) if time else None,
        energy=rounded(doc.energy, ENERGY),
        difference=rounded(row.energy_difference, ENERGY) if row else None,
        fmax=rounded(doc.fmax, FORCE),
        same=row.same_minimum if row else None,
        rmsd=rounded(row.rmsd, LENGTH) if row else None,
        passes=outcome.passes if outcome else None,
        strict=row.strict_success if row else None,
        failures="; ".join(reason.sentence for reason in row.failures) if row else "",
        converged=doc.converged,
        stop=doc.stop_reason.value,
        integrity=doc.integrity.value,
        compared=outcome is not None and outcome.calls_ratio is not None,
        steps=doc.n_steps,
        sites=len(doc.structure),
        completed=f"{doc.completed_at:%Y-%m-%d %H:%M}",
        tags=", ".join(doc.tags),
        note=row.note if row else "",
    )


def columns(rows: Iterable[Row]) -> Mapping[str, object]:
    """The table column by column, which takes less room than row by row.

    A column of `BY_WORDS` is ``{"words": [...], "at": [...]}``: the index of its word for each
    row, -1 for None. Every other column is the list of its values.
    """
    held = list(rows)
    found: dict[str, object] = {}
    for field in fields(Row):
        values = [getattr(row, field.name) for row in held]
        found[field.name] = _by_words(values) if field.name in BY_WORDS else values
    return found


def _by_words(values: list[str | None]) -> dict[str, object]:
    words = [word for word in dict.fromkeys(values) if word is not None]
    place: dict[str | None, int] = {word: index for index, word in enumerate(words)}
    return {"words": words, "at": [place.get(word, -1) for word in values]}
