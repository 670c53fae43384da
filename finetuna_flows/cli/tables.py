"""What the commands print: tables of relaxations, comparisons and parent calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.console import Console
from rich.table import Table

from finetuna_flows.results.document_parts import BlobReference, LedgerEntry
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
from finetuna_flows.results.find import RelaxationSummary

UUID = 8
"""Characters of a uuid that tables show; they are enough for `show`."""
WIDTH = 120
"""Columns of a table where the output is no terminal that has a width of its own."""


def printer() -> Console:
    """The console for results, on standard output."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def relaxation_table(docs: list[RelaxationDoc]) -> Table:
    """A row a relaxation; a time of 0 was not recorded."""
    table = Table(box=None, header_style="bold")
    words = ("system", "formula", "name")
    for name in (*words, "converged", "calls", "SCF", "energy/eV", "fmax", "time/s"):
        table.add_column(name, justify="left" if name in words else "right")
    table.add_column("adsorbate")
    for doc in docs:
        table.add_row(
            doc.system or "",
            doc.formula_pretty or "",
            doc.name,
            "yes" if doc.converged else f"no: {doc.stop_reason}",
            str(doc.parent_calls),
            number(doc.scf_cycles, "d"),
            number(doc.energy, ".4f"),
            number(doc.fmax, ".4f"),
            number(doc.timings.total or None, ".1f"),
            doc.integrity,
        )
    return table


def facts(doc: RelaxationDoc) -> Iterator[tuple[str, str]]:
    """What is to be said of one relaxation, a line each; empty words where there is nothing."""
    replayed = f", {doc.replayed_calls} of them replayed" if doc.replayed_calls else ""
    yield "uuid", doc.uuid
    yield "name", doc.name
    yield "method", doc.method
    yield "system", doc.system or ""
    yield "structure", doc.composition.formula if doc.composition else ""
    yield "adsorbate", doc.adsorbate or ""
    yield "converged", f"{'yes' if doc.converged else 'no'}, {doc.stop_sentence}"
    yield "adsorbate at the end", doc.integrity_sentence
    yield "energy", f"{number(doc.energy, '.4f')} eV"
    yield "fmax", f"{number(doc.fmax, '.4f')} eV/Å, to reach {doc.fmax_threshold:g}"
    yield "forces", _forces(doc)
    yield "parent calls", f"{doc.parent_calls}{replayed}, in {doc.n_steps} steps"
    yield "SCF cycles", number(doc.scf_cycles, "d")
    yield "wall time", f"{number(doc.timings.total or None, '.1f')} s"
    yield "level of theory", doc.level_of_theory
    yield "parent mode", doc.parent_mode or ""
    yield "tags", ", ".join(doc.tags)
    yield "directory", doc.dir_name or ""
    yield "damaged", "; ".join(doc.damaged)
    yield "inferred", "; ".join(doc.inferred)


def _forces(doc: RelaxationDoc) -> str:
    """What the labels say of the parent's forces."""
    found = doc.force_consistency
    if found is None:
        return ""
    sentences = [each for each in (found.contradiction, found.noise) if each]
    if not found.contradicting and found.judged:
        sentences.insert(0, f"the gradient of the energies at {found.judged} labels that tell it")
    return "; ".join(sentences)


def comparison_table(doc: ComparisonDoc) -> Table:
    """A row a method; calls, SCF cycles and energies are compared with the reference's."""
    table = Table(
        box=None,
        header_style="bold",
        title=f"{doc.formula_pretty}, against {doc.reference_method}",
        title_justify="left",
    )
    names = ("method", "converged", "calls", "of ref.", "SCF", "time/s", "ΔE/eV", "fmax", "minimum")
    for name in names:
        table.add_column(name, justify="left" if name in ("method", "minimum") else "right")
    for row in doc.rows:
        table.add_row(
            row.method,
            "yes" if row.converged else f"no: {row.note}",
            number(row.parent_calls, "d"),
            number(row.parent_calls_ratio, ".0%"),
            number(row.scf_cycles, "d"),
            number(row.timings.total if row.timings else None, ".1f"),
            number(row.energy_difference, "+.4f"),
            number(row.fmax, ".4f"),
            _minimum(row),
        )
    return table


def _minimum(row: ComparisonRow) -> str:
    if row.same_minimum is None or row.integrity is None:
        return "-"
    place = "same" if row.same_minimum else "another"
    return f"{place} ({row.rmsd:.3f} Å apart), {row.integrity}"


def summary_table(found: list[RelaxationSummary]) -> Table:
    """A row a relaxation, as a list of many shows it; where there is no room, words wrap."""
    table = Table(box=None, header_style="bold", collapse_padding=True, pad_edge=False)
    table.add_column("uuid", min_width=UUID, no_wrap=True)
    for name in ("system", "formula", "adsorbate", "name", "converged"):
        table.add_column(name, overflow="fold")
    for name, width in (("calls", 5), ("energy/eV", 9), ("fmax", 6)):
        table.add_column(name, justify="right", min_width=width, no_wrap=True)
    table.add_column("completed", min_width=10, no_wrap=True)
    for each in found:
        table.add_row(
            each.uuid[:UUID],
            each.system or "-",
            each.formula_pretty,
            each.adsorbate or "-",
            each.name,
            _converged(each),
            str(each.parent_calls),
            number(each.energy, ".4f"),
            number(each.fmax, ".4f"),
            f"{each.completed_at.astimezone():%Y-%m-%d}",
        )
    return table


def _converged(summary: RelaxationSummary) -> str:
    said = "yes" if summary.converged else f"no: {summary.stop_reason}"
    return said if summary.complete else f"{said}, incomplete"


def ledger_table(doc: RelaxationDoc) -> Table:
    """A row a parent call; empty where the ledger has not been loaded."""
    title = f"parent calls, {doc.name}"
    table = Table(box=None, header_style="bold", title=title, title_justify="left")
    names = ("call", "step", "energy/eV", "fmax", "predicted", "SCF", "time/s", "asked for")
    for name in names:
        table.add_column(name, justify="left" if name == "asked for" else "right", no_wrap=True)
    for entry in _entries(doc):
        table.add_row(
            str(entry.index + 1),
            str(entry.step),
            number(entry.energy, ".4f"),
            number(entry.fmax, ".3f"),
            number(entry.predicted_fmax, ".3f"),
            number(entry.scf_cycles, "d"),
            number(entry.wall_time, ".1f"),
            ", ".join([*entry.reasons, *["the engine was started again"] * entry.restarts]),
        )
    return table


def side_by_side(docs: Sequence[RelaxationDoc]) -> Table:
    """The parent calls of several relaxations, call by call."""
    table = Table(box=None, header_style="bold", title="parent calls", title_justify="left")
    table.add_column("call", justify="right")
    for doc in docs:
        table.add_column(f"{doc.name}: energy/eV", justify="right")
        table.add_column("fmax", justify="right")
    calls = zip_longest(*map(_entries, docs))
    for number_of_call, entries in enumerate(calls, start=1):
        cells = [
            cell
            for entry in entries
            for cell in ((f"{entry.energy:.4f}", f"{entry.fmax:.3f}") if entry else ("", ""))
        ]
        table.add_row(str(number_of_call), *cells)
    return table


def _entries(doc: RelaxationDoc) -> tuple[LedgerEntry, ...]:
    return () if doc.ledger is None or isinstance(doc.ledger, BlobReference) else doc.ledger


def number(value: float | None, form: str) -> str:
    """A number in a format, or a dash where there is none."""
    return "-" if value is None else format(value, form)
