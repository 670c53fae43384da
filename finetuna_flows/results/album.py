"""All figures that a store's data allow, one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobflow import JobStore
from matplotlib.figure import Figure

from finetuna_flows.reasons import QueryReason
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.figures.accuracy import accuracy_figure
from finetuna_flows.results.figures.cycles import cycles_figure
from finetuna_flows.results.figures.detail import detail_figure
from finetuna_flows.results.figures.force_error import force_error_figure
from finetuna_flows.results.figures.names import FigureName
from finetuna_flows.results.figures.paths import paths_figure
from finetuna_flows.results.figures.style import Look
from finetuna_flows.results.figures.systems import systems_figure
from finetuna_flows.results.figures.wall_time import wall_time_figure
from finetuna_flows.results.find import relaxation_doc
from finetuna_flows.results.tables.counting import Count

OF_RELAXATIONS = frozenset({FigureName.FORCE_ERROR, FigureName.DETAIL, FigureName.PATHS})
"""Figures for which trajectories or ledgers are loaded."""
UUID_SHOWN = 8
"""Characters of a uuid in the name of a file."""


@dataclass(frozen=True)
class Page:
    """A figure that could be drawn."""

    name: FigureName
    stem: str
    """Name of its file, without suffix."""
    draw: Callable[[], Figure]
    """Loads what it needs; raises NothingToDrawError if the data lack it."""


def study_pages(
    comparisons: Sequence[ComparisonDoc], count: Count, palette: Mapping[str, Look]
) -> list[Page]:
    """Figures over all systems.

    Parameters
    ----------
    comparisons
        One a system, all with the same reference.
    count
        Which parent calls count.
    palette
        Looks of the methods.
    """
    draw: dict[FigureName, Callable[[], Figure]] = {
        FigureName.ACCURACY: lambda: accuracy_figure(comparisons, count=count, palette=palette),
        FigureName.SYSTEMS: lambda: systems_figure(comparisons, count=count, palette=palette),
        FigureName.SCF_CYCLES: lambda: cycles_figure(comparisons, palette=palette),
        FigureName.SCF_CYCLES_ABSOLUTE: lambda: cycles_figure(
            comparisons, palette=palette, absolute=True
        ),
        FigureName.WALL_TIME: lambda: wall_time_figure(comparisons),
        FigureName.WALL_TIME_PARTS: lambda: wall_time_figure(comparisons, fraction=True),
    }
    return [Page(name, name.value, each) for name, each in draw.items()]


def relaxation_pages(
    store: JobStore,
    comparisons: Sequence[ComparisonDoc],
    uuids: Sequence[str],
    palette: Mapping[str, Look],
) -> Iterator[Page]:
    """Figures of single relaxations, and of force errors, which ledgers hold.

    Parameters
    ----------
    store
        Connected.
    comparisons
        Where the relaxations of a system are found.
    uuids
        Relaxations to draw in detail, or the beginnings of their uuids. None given: those with a
        surrogate on the system that has most methods.
    palette
        Looks of the methods.

    Raises
    ------
    StoreError
        If a uuid is that of none, or of more than one.
    """
    chosen = [relaxation_doc(store, uuid) for uuid in uuids]
    if not uuids and comparisons:
        learners = surrogates_took_part(store, comparisons)
        yield Page(
            FigureName.FORCE_ERROR,
            FigureName.FORCE_ERROR.value,
            lambda: force_error_figure(_ledgers(store, learners), palette=palette),
        )
        of_it = _uuids(max(comparisons, key=lambda each: len(_uuids(each))))
        drawn = [uuid for uuid in of_it if uuid in learners] or of_it[:1]
        chosen = [relaxation_doc(store, uuid) for uuid in drawn]
    for doc in chosen:
        yield from _pages_of(store, doc, palette, alone=bool(uuids))
    for comparison in comparisons:
        if {doc.uuid for doc in chosen} & set(_uuids(comparison)):
            yield _paths_page(store, comparison, palette)


def surrogates_took_part(store: JobStore, comparisons: Sequence[ComparisonDoc]) -> list[str]:
    """Uuids of the relaxations of a study in which something was predicted; loads nothing large."""
    wanted = {uuid for comparison in comparisons for uuid in _uuids(comparison)}
    fields = ["uuid", "query_reasons", "n_steps", "parent_calls"]
    found = []
    for entry in store.query(
        {"output.@class": RelaxationDoc.__name__},
        properties=[f"output.{field}" for field in fields],
        load=False,
    ):
        uuid, reasons, steps, calls = (entry["output"][field] for field in fields)
        if uuid in wanted and (set(reasons) != {QueryReason.PARENT_DRIVEN} or steps > calls):
            found.append(uuid)
    return found


def _pages_of(
    store: JobStore, doc: RelaxationDoc, palette: Mapping[str, Look], *, alone: bool
) -> Iterator[Page]:
    """In detail; its own force errors only where single relaxations were asked for."""
    called = _stem(
        doc.system or doc.formula_pretty or "", doc.name, doc.uuid[:UUID_SHOWN] if alone else ""
    )
    yield Page(
        FigureName.DETAIL,
        f"{FigureName.DETAIL}_{called}",
        lambda: detail_figure(relaxation_doc(store, doc.uuid, load=True), palette=palette),
    )
    if alone:
        yield Page(
            FigureName.FORCE_ERROR,
            f"{FigureName.FORCE_ERROR}_{called}",
            lambda: force_error_figure(_ledgers(store, [doc.uuid]), palette=palette),
        )


def _paths_page(store: JobStore, comparison: ComparisonDoc, palette: Mapping[str, Look]) -> Page:
    called = _stem(comparison.system or comparison.formula_pretty or comparison.system_key[:8])
    return Page(
        FigureName.PATHS,
        f"{FigureName.PATHS}_{called}",
        lambda: paths_figure(_load(store, _uuids(comparison)), palette=palette),
    )


def _ledgers(store: JobStore, uuids: Sequence[str]) -> list[RelaxationDoc]:
    """Without the trajectories, which would fill the memory."""
    without = {"trajectory": None}
    return [relaxation_doc(store, uuid, load=True).model_copy(update=without) for uuid in uuids]


def _load(store: JobStore, uuids: Sequence[str]) -> list[RelaxationDoc]:
    return [relaxation_doc(store, uuid, load=True) for uuid in uuids]


def _uuids(comparison: ComparisonDoc) -> list[str]:
    return [row.uuid for row in comparison.rows if row.uuid is not None]


def _stem(*words: str) -> str:
    """Part of a file's name, without what a name of a file cannot hold."""
    return "_".join(re.sub(r"[^\w.+-]+", "-", word) for word in words if word)
