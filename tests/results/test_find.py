"""Relaxations are found by what they are, in a local store and in one of MongoDB's kind alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jobflow.core.store import JobStore
from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore

from finetuna_flows.errors import StoreError
from finetuna_flows.results.completeness import REFERENCES
from finetuna_flows.results.document_parts import BlobReference, Trajectory
from finetuna_flows.results.filters import SORTS, Filters, relaxation_criteria
from finetuna_flows.results.find import (
    RelaxationSummary,
    count_relaxations,
    relaxation_doc,
    relaxation_docs,
    relaxation_summaries,
)
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.results.store import (
    TELLING,
    TOLD,
    check_store,
    ensure_indexes,
    local_job_store,
)
from tests.fakes.mongo import MongoServer
from tests.results.kept import day, filled_store, keep, made


@pytest.fixture(scope="module", params=["local", "memory", "mongo"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JobStore]:
    if request.param == "local":
        yield filled_store(tmp_path_factory.mktemp("find"))
        return
    with MongoServer() as server:
        of_mongo: list[Store] = [
            MemoryStore(name)
            if request.param == "memory"
            else MongoStore("tests", name, uri=server.uri)
            for name in ("outputs", "blobs")
        ]
        docs, blobs = of_mongo
        store = JobStore(docs, additional_stores={"data": blobs})
        check_store(store)
        keep(store, made())
        with store:
            yield store


def names(store: JobStore, **wanted: Any) -> list[str]:
    found = [each.name for each in relaxation_summaries(store, **wanted)]
    assert count_relaxations(
        store, **{name: value for name, value in wanted.items() if name in Filters.__annotations__}
    ) == len(found)
    return found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["nothing", "water", "ASE BFGS", "fast"]),
        ({"formula": "O2H4"}, ["water"]),
        ({"formula": "OCu8"}, ["nothing", "ASE BFGS", "fast"]),
        ({"chemsys": "O-Cu"}, ["nothing", "ASE BFGS", "fast"]),
        ({"chemsys": "O"}, []),
        ({"elements": ["O"]}, ["nothing", "water", "ASE BFGS", "fast"]),
        ({"elements": ["O", "H"]}, ["water"]),
        ({"elements": ("Cu", "H")}, []),
        ({"adsorbate": "O"}, ["nothing", "ASE BFGS", "fast"]),
        ({"adsorbate": "*OCH3"}, ["water"]),
        ({"adsorbate": "H3CO"}, ["water"]),
        ({"system": "random1"}, ["ASE BFGS", "fast"]),
        ({"system": "17"}, ["water"]),
        ({"name": "fast"}, ["fast"]),
        ({"method": "BFGS"}, ["water", "ASE BFGS"]),
        ({"parent_mode": "cold"}, ["ASE BFGS"]),
        ({"level_of_theory": "EMT"}, ["nothing", "water", "ASE BFGS", "fast"]),
        ({"converged": True}, ["ASE BFGS", "fast"]),
        ({"converged": False}, ["nothing", "water"]),
        ({"integrity": "desorbed"}, ["water"]),
        ({"stop_reason": "max_wall_time"}, ["nothing"]),
        ({"max_fmax": 0.1}, ["ASE BFGS", "fast"]),
        ({"min_fmax": 0.1}, ["water"]),
        ({"min_fmax": 0.1, "max_fmax": 0.15}, []),
        ({"tag": "paper"}, ["water", "fast"]),
        ({"tag": "day 1"}, ["fast"]),
        ({"since": day(3)}, ["nothing", "water"]),
        ({"until": day(3)}, ["ASE BFGS", "fast"]),
        ({"since": day(2), "until": day(3)}, ["ASE BFGS"]),
        ({"chemsys": "Cu-O", "converged": True, "tag": "paper", "name": None}, ["fast"]),
    ],
)
def test_each_filter_narrows_the_list_down(
    store: JobStore, wanted: dict[str, Any], found: list[str]
) -> None:
    assert names(store, **wanted) == found


def test_times_without_a_zone_are_local(store: JobStore) -> None:
    local = day(2).astimezone().replace(tzinfo=None)
    assert names(store, since=local, until=local + timedelta(seconds=1)) == ["ASE BFGS"]
    far = datetime(2026, 11, 2, 22, tzinfo=timezone(timedelta(hours=10)))
    assert names(store, since=far, until=far + timedelta(seconds=1)) == ["ASE BFGS"]


def test_lists_are_sorted_and_cut(store: JobStore) -> None:
    def found(**words: Any) -> list[str]:
        return [each.name for each in relaxation_summaries(store, **words)]

    assert found(sort="completed_at") == ["fast", "ASE BFGS", "water", "nothing"]
    assert found(sort="-fmax", limit=1) == ["water"]
    assert found(sort="parent_calls")[:2] == ["nothing", "fast"]
    assert found(skip=1, limit=2) == ["water", "ASE BFGS"]
    for sort in SORTS:
        assert sorted(found(sort=sort)) == sorted(found(sort=f"-{sort}")) == sorted(found())


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"formula": "foo"}, ValueError, "formula is 'foo' but must be one as CuO2"),
        ({"formula": "Zz2"}, ValueError, "element is 'Zz'"),
        ({"chemsys": "Cu-ox"}, ValueError, "element is 'ox' but must be a chemical symbol"),
        ({"elements": ["Oxygen"]}, ValueError, "element is 'Oxygen'"),
        ({"adsorbate": "*"}, ValueError, r"adsorbate is '\*' but must be a formula"),
        ({"adsorbate": "methoxy"}, ValueError, "adsorbate is 'methoxy'"),
        ({"sort": "uuid"}, ValueError, "`sort` is 'uuid' but must be one of completed_at"),
        ({"formla": "Cu"}, TypeError, "formla is no filter; there are formula, chemsys"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    store: JobStore, words: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(relaxation_summaries(store, **words))


def test_whole_documents_come_one_by_one(store: JobStore) -> None:
    docs = list(relaxation_docs(store, system="random1", sort="completed_at"))
    assert [doc.name for doc in docs] == ["fast", "ASE BFGS"]
    assert all(isinstance(doc.trajectory, BlobReference) for doc in docs)
    (doc,) = relaxation_docs(store, name="fast", load=True)
    assert isinstance(doc.trajectory, Trajectory)
    assert doc == relaxation_doc(store, doc.uuid, load=True)


def test_a_lost_trajectory_is_named(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    with LocalStore(tmp_path / "results.sqlite", "outputs_blobs") as blobs:
        blobs.remove_docs({})
    with pytest.raises(StoreError, match=r"missing in the additional store `data` of .*no '"):
        list(relaxation_docs(store, load=True))
    (light, *_) = relaxation_docs(store)
    with pytest.raises(StoreError, match="missing in the additional store"):
        relaxation_doc(store, light.uuid, load=True)


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[JobStore]:
    """A local store whose index is whole and whose documents cannot be read."""
    store = filled_store(tmp_path)
    connection = sqlite3.connect(tmp_path / "results.sqlite")
    connection.execute('DROP TRIGGER "outputs.UPDATE"')
    connection.execute("UPDATE outputs SET doc = x'00'")
    connection.commit()
    connection.close()
    with store:
        yield store


def test_lists_and_counts_read_no_document(spoilt: JobStore) -> None:
    assert [each.name for each in relaxation_summaries(spoilt, elements=["O", "Cu"])] == [
        "nothing",
        "ASE BFGS",
        "fast",
    ]
    for sort in SORTS:
        assert len(list(relaxation_summaries(spoilt, sort=sort, since=day(1)))) == 4
    assert count_relaxations(spoilt, tag="paper", until=day(2)) == 1


def test_all_that_a_summary_shows_is_in_the_index() -> None:
    docs = local_job_store("anywhere").docs_store
    assert isinstance(docs, LocalStore)
    held = {*docs.indexed, *docs.carried}
    own = RelaxationSummary.model_fields.keys() - {"complete"}
    assert {f"output.{name}" for name in own} | {*REFERENCES} <= held
    everything: Any = {**dict.fromkeys(Filters.__annotations__), "converged": True, "tag": "x"}
    everything |= {
        "formula": "Cu",
        "chemsys": "Cu",
        "adsorbate": "O",
        "min_fmax": 1,
        "since": day(1),
    }
    plain = ("system", "name", "method", "parent_mode", "level_of_theory", "integrity")
    everything |= dict.fromkeys((*plain, "stop_reason"), "x")
    assert relaxation_criteria(everything).keys() <= set(docs.indexed)
    assert {f"output.{name}" for name in SORTS} <= set(docs.indexed)


def test_a_store_of_the_users_own_is_indexed_when_it_is_checked(tmp_path: Path) -> None:
    docs = LocalStore(tmp_path / "s")
    store = JobStore(docs, additional_stores={"data": LocalStore(tmp_path / "s", "blobs")})
    check_store(store)
    keep(store, made())
    with LocalStore(tmp_path / "s") as again:
        connection = sqlite3.connect(again.path)
        paths = {path for (path,) in connection.execute('SELECT path FROM "outputs.fields"')}
        connection.close()
    assert {*TELLING, *TOLD} < paths


@pytest.mark.parametrize("kind", ["memory", "mongo"])
def test_in_mongodb_what_narrows_down_has_an_index(kind: str) -> None:
    """And a second look makes none."""
    with MongoServer() as server:
        docs = MemoryStore() if kind == "memory" else MongoStore("tests", "outputs", uri=server.uri)
        with JobStore(docs, additional_stores={"data": MemoryStore()}) as store:
            check_store(store)
            made_first = docs._collection.index_information()
            assert {index["key"][0][0] for index in made_first.values()} == {"_id", *TELLING}
            ensure_indexes(store)
            assert docs._collection.index_information() == made_first
