"""Reports of what a store holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobflow import JobStore

from finetuna_flows.errors import StoreError
from finetuna_flows.flows.keeping import keep
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.report.measured import NOTHING, measured
from finetuna_flows.results.report.write import stored_relaxations, write_report
from finetuna_flows.results.store import local_job_store
from finetuna_flows.results.tables.counting import Count
from tests.results.report_blocks import Blocks
from tests.results.reports import CALLS, few


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobStore]:
    """The few relaxations; those of the first system have a tag of their own."""
    made = local_job_store(tmp_path_factory.mktemp("store"))
    made.connect()
    docs, _ = few()
    for doc in docs:
        tags = (*doc.tags, "first") if doc in docs[:2] else doc.tags
        keep(doc.model_copy(update={"tags": tags})).run(store=made)
    yield made
    made.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped


def test_relaxations_come_whole(store: JobStore) -> None:
    docs, _ = few()
    found = {doc.uuid: doc for doc in stored_relaxations(store)}
    assert found.keys() == {doc.uuid for doc in docs}
    for doc in docs:
        assert isinstance(doc.trajectory, Trajectory)
        assert found[doc.uuid].trajectory == doc.trajectory
        assert found[doc.uuid].ledger == doc.ledger
    assert not isinstance(next(stored_relaxations(store, load=False)).trajectory, Trajectory)


def test_a_report_of_a_store(store: JobStore, tmp_path: Path) -> None:
    found = measured(store, None)
    assert found.study is not None
    assert found.study.reference == "BFGS"
    written = write_report(stored_relaxations(store), found, tmp_path / "r.html", title="t")
    held = Blocks(written.path.read_text(encoding="utf-8"))
    assert (written.relaxations, written.systems) == (11, 5)
    online = [row for row in held.rows if row["method"] == "online" and row["compared"]]
    assert sorted(row["calls"] for row in online) == sorted(CALLS)
    assert all(row["ratio"] is not None for row in online)


def test_a_tag_narrows_both_down(store: JobStore, tmp_path: Path) -> None:
    found = measured(store, "BFGS", tag="first", count=Count.FRAMES_MINUS_ONE)
    assert found.study is not None
    assert len(found.study.systems) == 1
    docs = stored_relaxations(store, tag="first")
    assert write_report(docs, found, tmp_path / "r.html", title="t").relaxations == 2


def test_where_no_reference_is_known_nothing_is_compared(tmp_path: Path) -> None:
    bare = local_job_store(tmp_path / "store")
    bare.connect()
    keep(few()[0][1]).run(store=bare)
    assert measured(bare, None) is NOTHING
    assert measured(bare, "fast").study is not None
    with pytest.raises(StoreError, match="'VASP CG'; there are fast"):
        measured(bare, "VASP CG")


def test_a_damaged_document_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = local_job_store(tmp_path / "store")
    bare.connect()
    for doc in few()[0][:2]:
        keep(doc).run(store=bare)
    entry = next(bare.docs_store.query({"output.name": "fast"}))
    del entry["output"]["timings"]
    bare.docs_store.update(entry)
    with caplog.at_level(logging.WARNING):
        names = [doc.name for doc in stored_relaxations(bare)]
    assert names == ["BFGS"]
    assert entry["output"]["uuid"] in caplog.text
    assert "timings" in caplog.text
