"""The index of a local store changes how long an answer takes, and never the answer."""

from __future__ import annotations

import math
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maggma.core import Store
from maggma.stores import MemoryStore

from finetuna_flows.results.sqlite.file import SqliteFile
from finetuna_flows.results.sqlite.index import BATCH
from finetuna_flows.results.sqlite.search import find
from finetuna_flows.results.sqlite.store import LocalStore

NOW = datetime(2026, 5, 1, 12, 0, 0, 1000)
PLAIN = (None, True, False, 0, 1, -2, 0.5, 1.0, 2**40, math.inf, "", "a", "ab", "b", "é", NOW)
"""One of each kind, and more where they are compared."""
LISTS: tuple[Any, ...] = ([], [1, 2], ["a", "b"], [None, True], ["a", 1, NOW], {"x": 1}, [[1], 2])
HARD = (math.nan, "x" * 1500, "a\0b", [math.nan, 1], [{"x": 1}, {"x": "a"}], ["x" * 1500, "a"])
"""What SQLite does not judge."""
CORPORA = {
    "one plain value each": (PLAIN, PLAIN),
    "some have lists": (PLAIN + LISTS, PLAIN),
    "some have what is hard to judge": (PLAIN + LISTS + HARD, PLAIN + HARD),
}
PATHS = ("a", "o.x", "o.y", "o", "o.x.x")
INDEXED = ((), ("o.x",), ("a", "o.x", "o.y"))
SCALARS = st.sampled_from([*PLAIN, math.nan, "x" * 1500, "abc", 3, datetime(1969, 1, 1)])
WANTED = st.one_of(SCALARS, st.just(NOW.replace(microsecond=1500, tzinfo=UTC)))
ONE = st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"])
CONDITIONS = st.one_of(
    WANTED,
    st.builds(lambda operator, value: {operator: value}, ONE, WANTED),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, WANTED, WANTED),
    st.builds(
        lambda operator, values: {operator: values},
        st.sampled_from(["$in", "$nin", "$all"]),
        st.lists(WANTED, max_size=3),
    ),
    st.sampled_from(["^a", "^", "b", "^a.c", "^é", r"^\-"]).map(lambda text: {"$regex": text}),
    st.sampled_from([{"$exists": True}, {"$exists": False}, {"$not": {"$gt": 1}}, ["a"], {"x": 1}]),
)
AT_A_PATH = st.builds(lambda path, wanted: {path: wanted}, st.sampled_from(PATHS), CONDITIONS)
CRITERIA = st.recursive(
    AT_A_PATH,
    lambda inner: st.one_of(
        st.builds(
            lambda word, parts: {word: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    ),
    max_leaves=4,
)
SORTS = st.none() | st.dictionaries(st.sampled_from(PATHS), st.sampled_from([1, -1]), max_size=2)
PROPERTIES = st.sampled_from(
    [None, ["a"], ["o.x"], ["a", "o.y", "uuid"], {"o.x": 1, "_id": 0}, {"o": 0}, {"_id": 0}]
)


def corpus(name: str) -> list[dict[str, Any]]:
    """Documents with every value of a corpus at each path, and with nothing there."""
    first, second = CORPORA[name]
    nothing: list[dict[str, Any]] = [{}, {"o": {}}, {"o": None}, {"o": 5}, {"a": 1, "o": "text"}]
    if name != "one plain value each":
        nothing += [{"o": [{"x": 1}, {"x": "a"}]}, {"o": [1, {"y": 1}]}, {"o": []}]
    docs: list[dict[str, Any]] = [
        {"a": value, "o": {"x": second[i % len(second)]}} for i, value in enumerate(first)
    ]
    docs += [{"a": i % 3, "o": {"x": value, "y": i}} for i, value in enumerate(first)]
    whole = [{"uuid": str(i), **doc} for i, doc in enumerate(docs + nothing)]
    return [bson.decode(bson.encode(doc)) for doc in whole]  # so that no NaN is the one asked for


@pytest.fixture(scope="module", params=CORPORA)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MemoryStore, list[LocalStore]]:
    """One corpus in mongomock, and in local stores with more and more of an index."""
    folder = tmp_path_factory.mktemp("stores")
    memory = MemoryStore(key="uuid")
    stores = [
        LocalStore(folder / str(len(paths)), indexed=paths, carried=["uuid"]) for paths in INDEXED
    ]
    docs = corpus(request.param)
    for store in (memory, *stores):
        store.connect()
        store.update([{"uuid": doc["uuid"], "a": "replaced", "o": {"x": [1]}} for doc in docs[::3]])
        store.update(docs)
    return memory, stores


@given(
    criteria=CRITERIA,
    properties=PROPERTIES,
    sort=SORTS,
    skip=st.integers(0, 2),
    limit=st.integers(0, 3),
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_answers_as_mongomock_does(
    filled: tuple[MemoryStore, list[LocalStore]],
    criteria: Any,
    properties: Any,
    sort: Any,
    skip: int,
    limit: int,
) -> None:
    """Whichever paths are indexed, of values of all kinds, found, sorted, counted, projected."""
    memory, stores = filled
    expected = asked(memory, criteria, properties, sort, skip, limit)
    if expected is not None:
        for store in stores:
            assert asked(store, criteria, properties, sort, skip, limit) == expected


@pytest.mark.parametrize("path", ["a", "o.x"])
def test_single_questions_are_answered_as_mongomock_does(
    filled: tuple[MemoryStore, list[LocalStore]], path: str
) -> None:
    """Every value, looked for by every operator, and both orders."""
    memory, (*_, indexed) = filled
    operators = ("$gt", "$gte", "$lt", "$lte", "$ne")
    questions: list[tuple[Any, Any]] = [
        *(({path: value}, None) for value in PLAIN + HARD + LISTS),
        *(({path: {word: value}}, None) for word in operators for value in PLAIN),
        *(({path: {"$in": [value, "b", 3]}}, {"a": 1}) for value in PLAIN + HARD),
        *((None, {path: way}) for way in (1, -1)),
    ]
    for criteria, sort in questions:
        found, expected = (
            [doc["uuid"] for doc in store.query(criteria, ["uuid"], sort=sort)]
            for store in (indexed, memory)
        )
        assert found == expected, (criteria, sort)


@pytest.mark.parametrize("path", PATHS)
def test_distinct_values_are_mongomocks(
    filled: tuple[MemoryStore, list[LocalStore]], path: str
) -> None:
    memory, stores = filled
    try:
        expected = memory.distinct(path)
    except TypeError:  # it takes no lists within lists
        return
    for store in stores:
        assert set(map(repr, store.distinct(path))) == set(map(repr, expected))


def asked(
    store: Store, criteria: Any, properties: Any, sort: Any, skip: int, limit: int
) -> tuple[list[bytes], int] | None:
    """What is found, and how many there are; None if mongomock cannot compare that."""
    try:
        found = list(store.query(criteria, properties, sort=sort, skip=skip, limit=limit))
        number = store.count(criteria)
    except (AttributeError, TypeError, NotImplementedError):  # its own
        assert isinstance(store, MemoryStore)
        return None
    return [bson.encode(in_order(doc)) for doc in found], number


def in_order(value: Any) -> Any:
    """Without MongoDB's own key, in the order of keys, which projections do not keep."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value) if key != "_id"}
    return [in_order(each) for each in value] if isinstance(value, list) else value


DOCS: list[dict[str, Any]] = [
    {"uuid": f"{index}", "output": {"n": index, "even": index % 2 == 0, "long": "x" * 1000}}
    for index in range(20)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with LocalStore(
        tmp_path / "s.sqlite", indexed=["output.n", "output.even"], carried=["uuid"]
    ) as opened:
        opened.update(DOCS)
        yield opened


@contextmanager
def by_hand(store: LocalStore) -> Iterator[sqlite3.Connection]:
    """The file without the store: SQL as it is written, and committed."""
    connection = sqlite3.connect(store.path)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def numbers(store: LocalStore, criteria: dict[str, Any], **more: Any) -> list[int]:
    found = store.query(criteria, ["output.n"], **more)
    return [doc["output"]["n"] for doc in found]


def test_what_is_indexed_is_answered_without_the_documents(store: LocalStore) -> None:
    """They are spoilt, so reading one would fail."""
    with by_hand(store) as connection:
        connection.execute('DROP TRIGGER "outputs.UPDATE"')
        connection.execute("UPDATE outputs SET doc = x'00'")
    assert numbers(store, {"output.even": True, "output.n": {"$lt": 5}}) == [0, 2, 4]
    assert numbers(store, {}, sort={"output.n": -1}, skip=1, limit=2) == [18, 17]
    assert numbers(store, {"output.n": {"$ne": 3}}, sort={"output.n": 1}, limit=1) == [0]
    assert numbers(store, {"$or": [{"output.n": 1}, {"uuid": {"$regex": "^1"}}]}, limit=2) == [
        1,
        10,
    ]
    assert store.count({"output.even": False}) == 10
    assert store.distinct("output.even") == [True, False]
    assert [doc["uuid"] for doc in store.query({"output.n": {"$in": [3, 4]}}, ["uuid"])] == [
        "3",
        "4",
    ]
    with pytest.raises(bson.errors.InvalidBSON):
        list(store.query({"output.n": 1}))


def test_a_condition_is_looked_up_and_not_searched_for(store: LocalStore) -> None:
    """SQLite says how it goes about it."""
    with by_hand(store) as connection:
        plan = connection.execute(
            'EXPLAIN QUERY PLAN SELECT id FROM "outputs.terms" WHERE field = 1 AND kind = 15 '
            "AND value IN (SELECT value FROM json_each('[\"a\"]'))"
        ).fetchall()
    assert "SEARCH outputs.terms USING PRIMARY KEY (field=? AND kind=? AND value=?)" in {
        each[3] for each in plan
    }


@pytest.mark.parametrize("number", [50, 2000])
def test_what_few_documents_have_is_found_in_few_steps(number: int, tmp_path: Path) -> None:
    """However many have what is asked for besides: an update asks for uuid and index."""
    docs = [{"uuid": str(i), "index": 1, "kind": "all", "name": f"{i // 2}"} for i in range(number)]
    file = SqliteFile(str(tmp_path / "s"), "outputs")
    with LocalStore(file.path, indexed=["name", "index", "kind"]) as store:
        store.update(docs)
    for criteria, found in (
        ({"uuid": "7", "index": 1}, [8]),
        ({"index": 1, "kind": "all", "name": "3"}, [7, 8]),
    ):
        steps: list[None] = []
        with file.opened() as connection, file.at_one_time(connection) as fields:
            connection.set_progress_handler(lambda steps=steps: steps.append(None), 1)  # type: ignore[misc]  # bound at once
            assert find(connection, fields, criteria) == found
        assert len(steps) < 300


def test_a_writer_that_knows_of_no_index_does_not_spoil_it(store: LocalStore) -> None:
    """What an older version does to the file."""
    new = bson.encode({"uuid": "3", "output": {"n": 300, "even": True}})
    more = bson.encode({"uuid": "20", "output": {"n": 20, "even": True}})
    with by_hand(store) as connection:
        words = "INSERT OR REPLACE INTO outputs (id, uuid, doc) VALUES (?, ?, ?)"
        connection.execute(words, (4, "3", new))
        connection.execute(words, (None, "20", more))
        connection.execute("DELETE FROM outputs WHERE id = 1")
    assert numbers(store, {"output.n": {"$gt": 18}}) == [300, 19, 20]
    assert numbers(store, {"output.n": 3}) == []
    assert numbers(store, {"output.n": 0}) == []
    store.update({"uuid": "20", "output": {"n": 21}})
    assert numbers(store, {"output.n": {"$gte": 20}}) == [300, 21]
    check_index(store)


def test_what_is_removed_and_replaced_leaves_nothing_behind(store: LocalStore) -> None:
    store.update([{"uuid": "1", "output": {"n": [1, 2, 3]}}, {"uuid": "1", "output": {"n": None}}])
    store.remove_docs({"output.even": True})
    assert store.count() == 10
    check_index(store)


def check_index(store: LocalStore) -> None:
    """The tables hold what they hold in a file into which the same documents are written anew."""
    with LocalStore(
        store.path, "anew", indexed=["output.n", "output.even"], carried=["uuid"]
    ) as anew:
        anew.update(list(store.query()))
        with by_hand(store) as connection:
            both = [
                connection.execute(
                    f'SELECT field, kind, value, head FROM "{table}.terms" '
                    f'JOIN "{table}.heads" USING (id) ORDER BY head, field, kind, value'
                ).fetchall()
                for table in ("outputs", "anew")
            ]
            sizes = [
                connection.execute(f'SELECT COUNT(*) FROM "{table}.terms"').fetchone()
                for table in ("outputs", "anew")
            ]
    assert both[0] == both[1]
    assert sizes[0] == sizes[1]


def test_a_file_of_before_is_indexed_when_it_is_connected(tmp_path: Path) -> None:
    """More documents than go into the index in one go; it says that it does."""
    with LocalStore(tmp_path / "s") as old:
        old.update([{"uuid": str(index), "n": index} for index in range(BATCH + 5)])
        assert not tables(old)
        with LocalStore(tmp_path / "s", indexed=["n"]) as new:
            assert tables(new) == {"fields", "heads", "stale", "terms"}
            assert [doc["uuid"] for doc in new.query({"n": {"$gt": BATCH + 2}})] == [
                str(BATCH + 3),
                str(BATCH + 4),
            ]
        old.update({"uuid": "0", "n": 1000})  # opened before there was an index
        assert [doc["uuid"] for doc in old.query(sort={"n": -1}, limit=1)] == ["0"]


def tables(store: LocalStore) -> set[str]:
    with by_hand(store) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'outputs.%'")
        return {name.partition(".")[2] for (name,) in found if name[-6:].islower()}


def test_indexing_that_was_interrupted_goes_on(store: LocalStore) -> None:
    with by_hand(store) as connection:
        connection.execute('DELETE FROM "outputs.heads" WHERE id > 5')
        connection.execute('DELETE FROM "outputs.terms" WHERE id > 5')
        connection.execute('INSERT INTO "outputs.stale" SELECT id FROM outputs WHERE id > 5')
    assert numbers(store, {"output.even": True}) == list(range(0, 20, 2))
    check_index(store)


def test_paths_come_in_one_by_one_and_stay(store: LocalStore) -> None:
    assert store.ensure_index("output.more")
    assert store.ensure_index("uuid")
    assert not store.ensure_index("output.n", unique=True)
    with LocalStore(store.path) as again:  # which asks for none itself
        again.update({"uuid": "new", "output": {"n": 100, "more": "here"}})
        with by_hand(store) as connection:
            connection.execute('DROP TRIGGER "outputs.UPDATE"')
            connection.execute("UPDATE outputs SET doc = x'00'")
        assert numbers(again, {"output.more": "here"}) == [100]
        assert numbers(again, {"output.n": 7}) == [7]


def test_one_update_may_hold_the_same_odd_key_twice(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "s", indexed=["index"]) as store:
        store.update([{"uuid": 7, "n": 1}, {"uuid": 7, "n": 2}])
        store.update(
            [{"uuid": "a", "index": math.nan, "n": 1}, {"uuid": "a", "index": 1, "n": 2}],
            key=["uuid", "index"],
        )
        assert [doc["n"] for doc in store.query()] == [2, 1, 2]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users are told apart on POSIX alone")
def test_a_file_that_may_only_be_read_is_read() -> None:
    """Of before the index, and by a user who may write nothing there."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with LocalStore(folder / "s") as old:
            old.update([{"uuid": "a", "n": 1}, {"uuid": "b", "n": 2}])
        (folder / "s").chmod(0o444)
        me = os.geteuid()
        folder.chmod(0o555)
        try:
            if me == 0:
                os.seteuid(65534)  # root may write everywhere
            with LocalStore(folder / "s", indexed=["n"]) as store:
                assert [doc["uuid"] for doc in store.query({"n": {"$gt": 1}})] == ["b"]
        finally:
            os.seteuid(me)
            folder.chmod(0o755)


def test_texts_that_are_looked_up_by_their_beginning(tmp_path: Path) -> None:
    texts = ["a-b", "a-b/c", "a+b", "a", "A-b", "b"]
    with LocalStore(tmp_path / "s", indexed=["text"]) as store:
        store.update([{"uuid": str(i), "text": text} for i, text in enumerate(texts)])
        for start in ("a-b", "a+", "a", ""):
            found = store.query({"text": {"$regex": f"^{re.escape(start)}"}})
            assert [doc["text"] for doc in found] == [t for t in texts if t.startswith(start)]
