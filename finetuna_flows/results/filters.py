"""What a list of relaxations is narrowed down by, and what that is in MongoDB's words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from ase.formula import Formula
from maggma.core import Sort
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element, Species

from finetuna_flows.results.documents import RelaxationDoc


class Filters(TypedDict, total=False):
    """Each narrows the list down by itself; None, or nothing, does not."""

    formula: str | None
    """Of the whole structure, in any form: ``CuO2``, ``O4Cu2``."""
    chemsys: str | None
    """Its elements, no others, in any order: ``O-Cu``."""
    elements: Sequence[str] | None
    """Elements that it has, among others."""
    adsorbate: str | None
    """Formula of the adsorbate, in any form: ``CH3O``, ``*OCH3``."""
    system: str | None
    """As in `RelaxationDoc.system`: what the user calls the structure."""
    name: str | None
    """As in `RelaxationDoc.name`: on the command line the preset, which `method` does not tell."""
    method: str | None
    """As in `RelaxationDoc.method`."""
    parent_mode: str | None
    """As in `RelaxationDoc.parent_mode`: ``cold``, ``restart`` or ``kept``."""
    level_of_theory: str | None
    """Of the parent, in the words of the documents."""
    converged: bool | None
    """Whether the parent's forces reached the threshold."""
    integrity: str | None
    """What became of the adsorbate: ``intact``, ``desorbed``, …"""
    stop_reason: str | None
    """Why it ended: ``converged``, ``max_steps``, …"""
    max_fmax: float | None
    """eV/Å; the parent's largest force at the end is at most this."""
    min_fmax: float | None
    """eV/Å; the same is at least this."""
    tag: str | None
    """One of the tags."""
    since: datetime | None
    """Completed at this time or later; of no time zone, it is the local one."""
    until: datetime | None
    """Completed before this time."""


NEWEST_FIRST = "-completed_at"
SORTS = ("completed_at", "last_updated", "energy", "fmax", "parent_calls", "nsites", "system")
"""Fields by which relaxations are sorted."""


class Selection(Filters, total=False):
    """Which relaxations, in which order, and how many."""

    sort: str
    """One of `SORTS`, lowest first; with a minus before it, highest first. Else the newest first.
    """
    skip: int
    """So many are left out at the beginning."""
    limit: int
    """At most so many; 0, or nothing, for all."""


AS_THEY_ARE = (
    "system",
    "name",
    "method",
    "parent_mode",
    "level_of_theory",
    "converged",
    "integrity",
    "stop_reason",
)
"""Filters that are a value of the field of the same name."""


def relaxation_criteria(filters: Filters) -> dict[str, Any]:
    """Criteria for documents in a JobStore that hold a relaxation.

    Raises
    ------
    ValueError
        If a formula or an element is none.
    TypeError
        If there is no such filter.
    """
    unknown = ", ".join(sorted(filters.keys() - Filters.__annotations__.keys()))
    if unknown:
        raise TypeError(f"{unknown} is no filter; there are {', '.join(Filters.__annotations__)}")
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    fields: dict[str, Any] = {name: given[name] for name in AS_THEY_ARE if name in given}
    if "formula" in given:
        fields["formula_pretty"] = reduced_formula(given["formula"])
    if "chemsys" in given:
        fields["chemsys"] = "-".join(sorted(map(_element, given["chemsys"].split("-"))))
    if "adsorbate" in given:
        fields["adsorbate"] = hill_formula(given["adsorbate"])
    if "tag" in given:
        fields["tags"] = given["tag"]
    fields |= _range("fmax", {"$gte": given.get("min_fmax"), "$lte": given.get("max_fmax")})
    times = {"$gte": _utc(given.get("since")), "$lt": _utc(given.get("until"))}
    fields |= _range("completed_at", times)
    criteria = {"output.@class": RelaxationDoc.__name__}
    criteria |= {f"output.{name}": value for name, value in fields.items()}
    having = [{"output.elements": _element(each)} for each in given.get("elements", ())]
    return {**criteria, "$and": having} if having else criteria


def relaxation_order(sort: str) -> dict[str, Sort | int]:
    """What `Selection.sort` says, in the words of a store.

    Raises
    ------
    ValueError
        If it is no field that relaxations are sorted by.
    """
    field = sort.removeprefix("-")
    if field not in SORTS:
        raise ValueError(
            f"`sort` is {sort!r} but must be one of {', '.join(SORTS)}, with or without a minus"
        )
    return {f"output.{field}": 1 if field == sort else -1}


def reduced_formula(formula: str) -> str:
    """The formula of documents, with the smallest whole numbers.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        composition = Composition(formula)
    except ValueError as exc:
        raise ValueError(f"formula is {formula!r} but must be one as CuO2: {exc}") from exc
    for each in composition:
        _element(each.symbol if isinstance(each, Species) else str(each))
    return str(composition.reduced_formula)


def hill_formula(adsorbate: str) -> str:
    """The formula of documents: carbon, hydrogen, then by the alphabet; stars are left out.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        return str(Formula(adsorbate.strip("*") or "?").format("hill"))
    except ValueError as exc:
        raise ValueError(
            f"adsorbate is {adsorbate!r} but must be a formula as CH3O or *OCH3 {exc}".rstrip()
        ) from exc


def _element(symbol: str) -> str:
    if not Element.is_valid_symbol(symbol):
        raise ValueError(f"element is {symbol!r} but must be a chemical symbol as Cu")
    return symbol


def _range(field: str, limits: dict[str, Any]) -> dict[str, Any]:
    """One criterion of the limits that there are."""
    some = {operator: value for operator, value in limits.items() if value is not None}
    return {field: some} if some else {}


def _utc(time: datetime | None) -> datetime | None:
    """A time without a zone is a local one."""
    return None if time is None else time.astimezone(UTC)
