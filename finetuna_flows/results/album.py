"""All figures that a store's data allow, one after the other."""

from __future__ import annotations

import re
from collections import Counter
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
from finetuna_flows.results.tables.study import by_system

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
    named = by_system(comparisons)
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
    docs = {doc.uuid: doc for doc in chosen}
    systems = {uuid: name for name, each in named.items() for uuid in _uuids(each)}
    stems = {uuid: _stem(_system(doc, systems), doc.name) for uuid, doc in docs.items()}
    for uuid, stem in _apart(stems, always=bool(uuids)).items():
        yield from _pages_of(store, docs[uuid], stem, palette, alone=bool(uuids))
    ways = {each.uuid: each for each in comparisons if not docs.keys().isdisjoint(_uuids(each))}
    called_so = {each.uuid: _stem(name) for name, each in named.items() if each.uuid in ways}
    for uuid, stem in _apart(called_so).items():
        yield _paths_page(store, ways[uuid], stem, palette)


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
    store: JobStore, doc: RelaxationDoc, called: str, palette: Mapping[str, Look], *, alone: bool
) -> Iterator[Page]:
    """In detail; its own force errors only where single relaxations were asked for."""
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


def _paths_page(
    store: JobStore, comparison: ComparisonDoc, called: str, palette: Mapping[str, Look]
) -> Page:
    return Page(
        FigureName.PATHS,
        f"{FigureName.PATHS}_{called}",
        lambda: paths_figure(_load(store, _uuids(comparison)), palette=palette),
    )


def _ledgers(store: JobStore, uuids: Sequence[str]) -> list[RelaxationDoc]:
    """Without the trajectories, which would fill the memory."""
    return [_with_ledger(store, uuid) for uuid in uuids]


def _with_ledger(store: JobStore, uuid: str) -> RelaxationDoc:
    (entry,) = store.query(
        {"output.uuid": uuid}, properties=["output"], limit=1, load={"data": ["ledger"]}
    )
    fields = RelaxationDoc.model_fields.keys() - {"trajectory"}
    held = {name: value for name, value in entry["output"].items() if name in fields}
    return RelaxationDoc.model_validate(held)


def _load(store: JobStore, uuids: Sequence[str]) -> list[RelaxationDoc]:
    return [relaxation_doc(store, uuid, load=True) for uuid in uuids]


def _uuids(comparison: ComparisonDoc) -> list[str]:
    return [row.uuid for row in comparison.rows if row.uuid is not None]


def _system(doc: RelaxationDoc, systems: Mapping[str, str]) -> str:
    """As the study calls it; what is in no study, as it calls itself."""
    return systems.get(doc.uuid) or doc.system or doc.formula_pretty or ""


def _apart(stems: Mapping[str, str], *, always: bool = False) -> dict[str, str]:
    """Stems by uuid; what would be one file, where case does not count either, gets its uuid."""
    alike = Counter(stem.casefold() for stem in stems.values())
    return {
        uuid: _stem(stem, uuid[:UUID_SHOWN] if always or alike[stem.casefold()] > 1 else "")
        for uuid, stem in stems.items()
    }


def _stem(*words: str) -> str:
    """Part of a file's name, without what a name of a file cannot hold."""
    return "_".join(re.sub(r"[^\w.+-]+", "-", word).strip("-") for word in words if word)
