"""Every figure has a file of its own, and no more is loaded for it than it draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobflow import JobStore
from monty.json import jsanitize

from finetuna_flows.errors import StoreError
from finetuna_flows.results.album import relaxation_pages
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.document_parts import BlobReference
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.figures.names import FigureName
from finetuna_flows.results.store import local_job_store
from tests.results.kept import keep
from tests.results.made import asking_seldom, slab

METHODS = ("BFGS (M1)", "BFGS [M1]", "bfgs_M1")
"""What differs only in signs that the name of a file cannot hold, and one that does not."""


def relaxed(index: int) -> dict[str, RelaxationDoc]:
    """One system, all of which are called alike, by all methods."""
    start = slab()
    start.positions[-1, 0] += 0.05 * index
    start.info["system"] = "O on Cu"
    return {
        name: build_relaxation_doc(asking_seldom(start), name=name, spec={}) for name in METHODS
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobStore, list[ComparisonDoc]]:
    store = local_job_store(tmp_path_factory.mktemp("album"))
    store.connect()
    systems = [relaxed(index) for index in range(2)]
    keep(store, [doc for docs in systems for doc in docs.values()])
    return store, [compare(docs, METHODS[0]) for docs in systems]


def test_what_is_called_alike_has_files_of_its_own(
    filled: tuple[JobStore, list[ComparisonDoc]],
) -> None:
    store, found = filled
    stems = [page.stem for page in relaxation_pages(store, found, [], {})]
    assert len({stem.casefold() for stem in stems}) == len(stems)
    details = [stem for stem in stems if stem.startswith("detail")]
    assert len(details) == len(METHODS)
    uuids = [row.uuid or "" for row in found[0].rows]
    assert [stem.endswith(f"_{uuid[:8]}") for stem, uuid in zip(details, uuids, strict=True)] == [
        True,
        True,
        False,
    ]
    assert all(found[0].system_key[:6] in stem for stem in details)  # as in the tables


def test_a_relaxation_that_is_named_twice_is_drawn_once(
    filled: tuple[JobStore, list[ComparisonDoc]],
) -> None:
    store, found = filled
    uuids = [row.uuid or "" for each in found for row in each.rows]
    stems = [page.stem for page in relaxation_pages(store, found, [*uuids, uuids[0][:20]], {})]
    assert len({stem.casefold() for stem in stems}) == len(stems)
    assert sum(stem.startswith("detail") for stem in stems) == len(uuids)
    assert sum(stem.startswith("paths") for stem in stems) == 2


def test_force_errors_load_no_trajectory(tmp_path: Path) -> None:
    store = local_job_store(tmp_path / "store")
    store.connect()
    doc = build_relaxation_doc(asking_seldom(slab()), name="fast", spec={})
    assert isinstance(doc.ledger, tuple)
    errors = {"force_error": 0.2, "tuned_force_error": 0.1}
    fast = doc.model_copy(
        update={
            "ledger": tuple(entry.model_copy(update=errors) for entry in doc.ledger),
            "trajectory": BlobReference(blob_uuid="lost", store="data"),
        }
    )
    held = jsanitize(fast, strict=True, enum_values=True, allow_bson=True)
    store.update([{"uuid": "job", "index": 1, "output": held}], save={"data": ["ledger"]})
    pages = list(relaxation_pages(store, [compare({"fast": fast}, "fast")], [], {}))
    drawn = {page.name: page.draw for page in pages}
    assert len(drawn[FigureName.FORCE_ERROR]().axes) == 1
    with pytest.raises((KeyError, StoreError)):
        drawn[FigureName.DETAIL]()
