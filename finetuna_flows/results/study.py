"""The study that a store holds: a comparison for every system, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from jobflow import JobStore
from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore, MongoURIStore

from finetuna_flows.errors import StoreError
from finetuna_flows.results.compare import ENERGY_TOLERANCE
from finetuna_flows.results.comparison_builder import (
    EVERYTHING,
    LOOKED_UP,
    REMEMBERED,
    ComparisonBuilder,
)
from finetuna_flows.results.completeness import data_store
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.sqlite.store import LocalStore

COLLECTION = "finetuna_comparisons"
"""Where comparisons are kept, in the database of the relaxations."""
USUAL_REFERENCES = ("vaspcg", "asebfgs", "bfgs")
"""Names by which a reference is recognised, without regard to case and signs; the first counts."""
BATCH = 100
"""Systems that are built in one go."""


def comparisons(
    store: JobStore,
    reference: str | None = None,
    *,
    tag: str | None = None,
    energy_tolerance: float = ENERGY_TOLERANCE,
) -> list[ComparisonDoc]:
    """Every system of a connected store with its methods side by side; what is new is built.

    Parameters
    ----------
    store
        Comparisons are kept beside its documents, in the collection `COLLECTION`.
    reference
        Name of the method that the others are measured against. None: see `choose_reference`.
    tag
        Only relaxations with this tag.
    energy_tolerance
        eV above the reference that still counts as success.

    Returns
    -------
    Sorted by what the systems are called.

    Raises
    ------
    StoreError
        If there is no relaxation by the reference, or none that a reference is known among.
    ValueError
        If it could be several; see `choose_reference`.
    """
    source = store.docs_store
    query: dict[str, Any] | None = {"output.tags": tag} if tag is not None else None
    names = method_names(source, query)
    if not names:
        tagged = "" if tag is None else f" with the tag {tag!r}"
        raise StoreError(f"no relaxation{tagged} is in {store.name}", retryable=False)
    if reference is None:
        reference = choose_reference(names)
    elif reference not in names:
        raise StoreError(
            f"no relaxation in {store.name} is named {reference!r}; there are {', '.join(names)}",
            retryable=False,
        )
    builder = ComparisonBuilder(
        source,
        beside(source),
        reference,
        query=query,
        scope=EVERYTHING if tag is None else f"tag {tag}",
        energy_tolerance=energy_tolerance,
        data=data_store(store),
    )
    return build(builder)


def build(builder: ComparisonBuilder) -> list[ComparisonDoc]:
    """Run a builder in this process, and return all that its target then holds of its own."""
    builder.connect()  # type: ignore[no-untyped-call]  # maggma leaves it untyped
    batch = []
    for item in builder.get_items():
        batch.append(builder.process_item(item))
        if len(batch) == BATCH:
            builder.update_targets(batch)
            batch = []
    builder.update_targets(batch)
    return builder.built()


def method_names(source: Store, query: dict[str, Any] | None = None) -> list[str]:
    """What the relaxations in a store of documents are named, sorted."""
    criteria = {"output.@class": RelaxationDoc.__name__, **(query or {})}
    return sorted(source.distinct("output.name", criteria))


def choose_reference(names: Sequence[str]) -> str:
    """VASP CG where there is one, else BFGS on the parent, by any of their usual spellings.

    Raises
    ------
    StoreError
        If there is neither; naming what there is.
    ValueError
        If there is one under several spellings.
    """
    for usual in USUAL_REFERENCES:
        spelt = [name for name in names if "".join(filter(str.isalnum, name)).lower() == usual]
        if len(spelt) > 1:
            raise ValueError(
                f"{' and '.join(map(repr, spelt))} could all be the reference; name one with "
                "`reference` (--reference)"
            )
        if spelt:
            return spelt[0]
    raise StoreError(
        f"none of the methods {', '.join(names)} is known as a reference (VASP CG or BFGS); name "
        "one with `reference` (--reference)",
        retryable=False,
    )


def beside(source: Store) -> Store:
    """A store for comparisons in the database of the relaxations; in memory where there is none."""
    if isinstance(source, LocalStore):
        return LocalStore(source.path, COLLECTION, indexed=LOOKED_UP, carried=REMEMBERED)
    if isinstance(source, MongoStore) and not isinstance(source, MemoryStore):
        if isinstance(source, MongoURIStore):  # whose as_dict() forgets the address
            return MongoStore(source.database, COLLECTION, uri=source.uri, key="uuid")
        words = {**source.as_dict(), "key": "uuid", "collection_name": COLLECTION}
        return cast("Store", type(source).from_dict(words))
    return MemoryStore(COLLECTION, key="uuid")
