"""The local store loses nothing, whoever else writes, and answers as MongoDB would."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobflow.core.store import JobStore
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import StoreError
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.results.store import local_job_store

DOCS: list[dict[str, Any]] = [
    {"uuid": "a", "index": 1, "output": {"x": 1, "tags": ["p", "q"], "parts": [{"n": 1}]}},
    {"uuid": "a", "index": 2, "output": {"x": 2.5, "tags": [], "deep": {"er": None}}},
    {"uuid": "b", "index": 1, "output": {"x": -1, "when": datetime(2026, 5, 1, 12, 30, 1, 5000)}},
    {"uuid": "c", "index": 1, "output": None},
    {"uuid": 7, "index": 1, "output": "text"},
]
"""One with a uuid that is not text, so that the index does not know it."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with LocalStore(tmp_path / "some" / "store.sqlite") as opened:
        yield opened


@pytest.fixture(scope="module", params=[(), ("index", "output.x", "output.tags", "output.when")])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalStore, MemoryStore]:
    """The same documents here, without an index and with one, and in mongomock."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    local = LocalStore(path, indexed=request.param)
    memory = MemoryStore()
    for each in (local, memory):
        each.connect()
        each.update(DOCS, key=["uuid", "index"])
    return local, memory


CRITERIA = st.sampled_from(
    [
        None,
        {},
        {"uuid": "a"},
        {"uuid": "a", "index": 2},
        {"uuid": 7},
        {"uuid": {"$in": ["a", "b", "z"]}},
        {"uuid": {"$in": ["a", 7]}},
        {"uuid": {"$ne": "a"}},
        {"uuid": {"$regex": "^[bc]"}},
        {"uuid": "nobody"},
        {"output": None},
        {"output.x": {"$gt": 0}},
        {"output.tags": "q"},
        {"output.parts.n": 1},
        {"output.parts.0.n": 1},
        {"output.deep.er": None},
        {"output.when": {"$lt": datetime(2026, 6, 1)}},
        {"$or": [{"uuid": "b"}, {"$and": [{"index": 2}, {"output.x": 2.5}]}]},
    ]
)
PROPERTIES = st.sampled_from(
    [None, ["uuid"], ["output.x", "index"], ["output.deep.er"], {"output": 0}, {"index": 1}]
)
SORTS = st.sampled_from([None, {"index": -1, "uuid": 1}, {"output.x": 1}, {"output.x": -1}])


@given(criteria=CRITERIA, properties=PROPERTIES, sort=SORTS, limit=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_answers_as_mongo_does(
    both: tuple[LocalStore, MemoryStore], criteria: Any, properties: Any, sort: Any, limit: int
) -> None:
    local, memory = both
    found, expected = (
        [
            {name: value for name, value in doc.items() if name != "_id"}
            for doc in each.query(criteria, properties, sort=sort, skip=limit % 2, limit=limit)
        ]
        for each in (local, memory)
    )
    assert found == expected
    assert local.count(criteria) == memory.count(criteria)


def test_groups_and_distinct_values(both: tuple[LocalStore, MemoryStore]) -> None:
    local, _ = both
    groups = {key["uuid"]: len(docs) for key, docs in local.groupby("uuid")}
    assert groups == {"a": 2, "b": 1, "c": 1, 7: 1}
    ((key, docs),) = local.groupby("output.x", {"uuid": "b"}, ["index"])
    assert key == {"output": {"x": -1}}
    assert docs == [{"index": 1, "output": {"x": -1}}]
    assert sorted(local.distinct("index")) == [1, 2]


def test_an_update_replaces_by_its_key(store: LocalStore) -> None:
    store.update(DOCS, key=["uuid", "index"])
    store.update({"uuid": "a", "index": 2, "output": "new"}, key=["uuid", "index"])
    store.update([{"uuid": "b", "output": "by the store's own key"}])
    assert store.count() == len(DOCS)
    assert [doc["output"] for doc in store.query({"uuid": "a"})] == [DOCS[0]["output"], "new"]
    assert list(store.query({"uuid": "b"})) == [{"uuid": "b", "output": "by the store's own key"}]


def test_a_document_from_another_store_can_be_written(store: LocalStore) -> None:
    store.update({"_id": "of MongoDB", "uuid": "a"})
    assert store.query_one({"uuid": "a"}) == {"uuid": "a"}


def test_documents_are_removed(store: LocalStore) -> None:
    store.update(DOCS, key=["uuid", "index"])
    store.remove_docs({"uuid": "a"})
    assert sorted(str(doc["uuid"]) for doc in store.query()) == ["7", "b", "c"]


def test_times_come_back_as_from_mongodb(store: LocalStore) -> None:
    store.update({"uuid": "a", "last_updated": datetime(2026, 5, 1, 12, 0, 0, 1234, tzinfo=UTC)})
    assert store.last_updated == datetime(2026, 5, 1, 12, 0, 0, 1000)  # UTC, milliseconds


def test_nothing_is_lost_by_closing(store: LocalStore) -> None:
    store.update(DOCS, key=["uuid", "index"])
    store.close()
    with pytest.raises(StoreError, match="is not connected"):
        store.count()
    store.connect()
    with LocalStore(store.path) as again:
        assert again.count() == store.count() == len(DOCS)
        assert list(again.query()) == DOCS


def test_collections_in_one_file_do_not_mix(store: LocalStore) -> None:
    with LocalStore(store.path, "others") as others:
        store.update({"uuid": "a"})
        others.update([{"uuid": "b"}, {"uuid": "c"}])
        assert (store.count(), others.count()) == (1, 2)


def test_an_update_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store.sqlite", document_limit=1000) as store:
        docs = [{"uuid": "small"}, {"uuid": "large", "text": "x" * 1000}]
        with pytest.raises(StoreError, match=r"has 10\d\d bytes but .* takes 1000") as caught:
            store.update(docs)
        assert not caught.value.retryable
        assert store.count() == 0


def test_it_comes_back_from_json(tmp_path: Path) -> None:
    job_store = local_job_store(tmp_path)
    back = MontyDecoder().decode(json.dumps(job_store, cls=MontyEncoder))
    assert isinstance(back, JobStore)
    assert back.as_dict() == job_store.as_dict()
    docs: Any = back.docs_store
    assert docs == job_store.docs_store
    assert hash(docs) == hash(job_store.docs_store)
    assert docs.document_limit == 16 * 1024**2
    assert job_store.as_dict()["additional_stores"]["data"]["document_limit"] is None


@pytest.mark.parametrize(
    ("doc", "message"),
    [({"name": "x"}, "lacks its key 'uuid'"), ({"uuid": "a", "n": 2**64}, "cannot be written")],
)
def test_update_refuses(store: LocalStore, doc: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        store.update(doc)
    assert store.count() == 0


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("something else, and long enough to be looked at as a header" * 20)
    with pytest.raises(StoreError, match="file is not a database"):
        LocalStore(path).connect()


def test_a_name_that_is_no_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`collection_name` is 'a; b' but may hold only letters"):
        LocalStore(tmp_path / "store.sqlite", "a; b")


def test_there_is_no_mongo_collection(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="no MongoDB collection"):
        _ = store._collection


def write_many(folder: str, writer: int, number: int) -> None:
    """Connect anew for every document, as separate jobs do, and look around meanwhile."""
    for index in range(number):
        store = local_job_store(folder)
        with store:
            doc = {
                "uuid": f"{writer}-{index}",
                "index": 1,
                "output": {"writer": writer, "trajectory": [[0.1 * index] * 30] * 100},
            }
            store.update(doc, save={"data": ["trajectory"]})
            store.update({**doc, "again": True}, save={"data": ["trajectory"]})
            assert store.count({"output.writer": writer}) == index + 1
            if index % 10 == 9:
                store.update({"uuid": f"{writer}-gone", "index": 1})
                store.remove_docs({"uuid": f"{writer}-gone"})


def written_by(folder: Path, processes: int, number: int) -> None:
    """Let processes write at once, and look for every document and every blob."""
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_many, args=(str(folder), writer, number))
        for writer in range(processes)
    ]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert [each.exitcode for each in writers] == [0] * processes
    with local_job_store(folder) as store:
        found = {doc["uuid"]: doc for doc in store.query(load=True)}
        expected = {f"{writer}-{i}" for writer in range(processes) for i in range(number)}
        assert found.keys() == expected
        assert store.count() == len(expected)
        assert {doc["uuid"] for doc in store.query({"index": 1}, ["uuid"])} == expected  # indexed
        for uuid, doc in found.items():
            index = int(uuid.split("-")[1])
            assert doc["output"]["trajectory"] == [[0.1 * index] * 30] * 100
            assert doc["again"]
    with sqlite3.connect(folder / "results.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.slow
def test_eight_processes_write_sixty_documents_each(tmp_path: Path) -> None:
    written_by(tmp_path, 8, 60)
