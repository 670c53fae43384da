"""The stand-in for MongoDB speaks with MongoDB's own client."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from gridfs import GridFS
from pymongo import ASCENDING, MongoClient, ReturnDocument, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from tests.fakes.mongo import LOOPBACK, MongoServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
Client = MongoClient[dict[str, Any]]
Slabs = Collection[dict[str, Any]]


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


@pytest.fixture
def client(server: MongoServer) -> Iterator[Client]:
    with Client(server.uri, timeoutMS=20_000) as connected:
        yield connected


@pytest.fixture
def slabs(client: Client) -> Slabs:
    return client["tests"]["slabs"]


def test_what_is_inserted_is_found(slabs: Slabs) -> None:
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    document: dict[str, Any] = {"_id": ObjectId(), "when": now, "cell": [1, 2.5]}
    document["parts"] = {"raw": b"\0", "n": None}
    slabs.insert_one(document)
    assert slabs.find_one({"parts.raw": b"\0"}) == document
    assert slabs.find_one({"when": {"$gt": now}}) is None
    assert slabs.find_one({"cell": 2.5}, {"cell": 1, "_id": 0}) == {"cell": [1, 2.5]}


def test_updates_count_what_they_met(slabs: Slabs) -> None:
    slabs.insert_many([{"n": n, "metal": "Cu"} for n in range(4)])
    done = slabs.update_many({"n": {"$gte": 2}}, {"$set": {"metal": "Pt"}})
    assert (done.matched_count, done.modified_count) == (2, 2)
    done = slabs.update_one({"n": 0}, {"$set": {"metal": "Cu"}})
    assert (done.matched_count, done.modified_count) == (1, 0)
    done = slabs.update_one({"n": 1}, [{"$set": {"twice": {"$add": ["$n", "$n"]}}}])
    assert done.modified_count == 1
    assert slabs.find_one({"twice": 2}) is not None
    assert slabs.replace_one({"n": 1}, {"n": 9}).modified_count == 1
    assert set(slabs.distinct("metal")) == {"Cu", "Pt"}


def test_upserts_say_what_they_made(slabs: Slabs) -> None:
    done = slabs.update_one({"n": 1}, {"$set": {"metal": "Cu"}}, upsert=True)
    assert done.matched_count == 0
    assert slabs.find_one({"_id": done.upserted_id, "n": 1, "metal": "Cu"}) is not None
    assert slabs.replace_one({"n": 1}, {"n": 2}, upsert=True).upserted_id is None
    writes = [UpdateOne({"n": n}, {"$inc": {"k": 1}}, upsert=True) for n in range(4)]
    result = slabs.bulk_write(writes)
    assert (result.matched_count, result.upserted_count) == (1, 3)


def test_deletes_and_counts(slabs: Slabs) -> None:
    slabs.insert_many([{"n": n % 3} for n in range(9)])
    assert slabs.delete_one({"n": 1}).deleted_count == 1
    assert slabs.delete_many({"n": 0}).deleted_count == 3
    assert slabs.count_documents({"n": 1}) == 2
    assert slabs.count_documents({"n": 7}) == 0
    assert slabs.estimated_document_count() == 5


def test_aggregates_with_a_lookup(client: Client) -> None:
    database = client["tests"]
    database["jobs"].insert_many([{"uuid": n, "flow": n // 2, "big": "x"} for n in range(4)])
    database["flows"].insert_many([{"name": "a", "jobs": [0, 1]}, {"name": "b", "jobs": [2, 3]}])
    found = database["flows"].aggregate(
        [
            {
                "$lookup": {
                    "from": "jobs",
                    "localField": "jobs",
                    "foreignField": "uuid",
                    "as": "list",
                    "pipeline": [{"$project": {"uuid": 1, "_id": 0}}],
                }
            },
            {"$match": {"list.uuid": 2}},
            {"$project": {"_id": 0, "list": 1}},
        ]
    )
    assert list(found) == [{"list": [{"uuid": 2}, {"uuid": 3}]}]


def test_one_is_found_and_changed(slabs: Slabs) -> None:
    slabs.insert_many([{"n": n, "lock": None} for n in range(3)])
    after = ReturnDocument.AFTER
    found = slabs.find_one_and_update({}, {"$set": {"lock": "a"}}, sort=[("n", -1)])
    assert found is not None
    assert (found["n"], found["lock"]) == (2, None)
    unless_locked = {"$cond": {"if": {"$gt": ["$lock", None]}, "then": "$lock", "else": "b"}}
    change = [{"$set": {"lock": unless_locked}}]
    locks = [
        slabs.find_one_and_update({"n": n}, change, projection=["lock"], return_document=after)
        for n in (2, 1)
    ]
    assert [each and each["lock"] for each in locks] == ["a", "b"]
    assert slabs.find_one_and_update({"n": 8}, {"$set": {"lock": "c"}}) is None
    made = slabs.find_one_and_update(
        {"n": 8}, {"$inc": {"k": 1}}, upsert=True, return_document=after
    )
    assert made is not None
    assert made["k"] == 1
    gone = slabs.find_one_and_delete({"n": 8})
    assert gone == made


def test_a_unique_index_refuses_doubles(slabs: Slabs) -> None:
    assert slabs.index_information() == {}
    name = slabs.create_index([("uuid", ASCENDING), ("index", ASCENDING)], unique=True)
    assert slabs.index_information()[name]["unique"] is True
    slabs.insert_one({"uuid": "a", "index": 1})
    with pytest.raises(DuplicateKeyError):
        slabs.insert_one({"uuid": "a", "index": 1})
    with pytest.raises(BulkWriteError) as caught:
        slabs.insert_many([{"uuid": "a", "index": n} for n in (1, 2, 3)], ordered=False)
    details = caught.value.details
    assert details is not None
    assert (details["nInserted"], [each["index"] for each in details["writeErrors"]]) == (2, [0])
    slabs.drop_index(name)
    assert list(slabs.index_information()) == ["_id_"]


def test_long_results_come_in_batches(server: MongoServer, slabs: Slabs) -> None:
    slabs.insert_many([{"n": n} for n in range(1000)])
    assert [each["n"] for each in slabs.find().batch_size(7)] == list(range(1000))
    assert len(list(slabs.aggregate([{"$match": {"n": {"$lt": 500}}}]))) == 500
    assert [each["n"] for each in slabs.find().sort("n", -1).skip(2).limit(3)] == [997, 996, 995]
    assert server.open_cursors == 0
    with slabs.find(batch_size=10) as cursor:
        next(cursor)
        assert server.open_cursors == 1
    assert server.open_cursors == 0


def test_batches_are_bounded_in_bytes(slabs: Slabs) -> None:
    slabs.insert_many([{"n": n, "blob": bytes(5_000_000)} for n in range(8)])
    assert [len(each["blob"]) for each in slabs.find()] == [5_000_000] * 8


def test_threads_lose_nothing(server: MongoServer, slabs: Slabs) -> None:
    slabs.insert_one({"_id": "counter", "n": 0})
    seen: list[int] = []

    def count() -> None:
        with Client(server.uri) as own:
            for _ in range(50):
                found = own["tests"]["slabs"].find_one_and_update(
                    {"_id": "counter"}, {"$inc": {"n": 1}}
                )
                assert found is not None
                seen.append(found["n"])

    threads = [threading.Thread(target=count) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(seen) == list(range(400))


def test_files_are_kept(client: Client) -> None:
    files = GridFS(client["tests"], "blobs")
    number = files.put(bytes(range(256)) * 4000, metadata={"launch_id": 3})
    assert files.get(number).read() == bytes(range(256)) * 4000
    (found,) = files.find({"metadata.launch_id": 3})
    assert found._id == number
    files.delete(number)
    assert not files.exists(number)


def test_collections_are_listed_and_dropped(client: Client) -> None:
    client["tests"]["a"].insert_one({})
    client["tests"]["b"].insert_one({})
    assert sorted(client["tests"].list_collection_names()) == ["a", "b"]
    client["tests"]["a"].drop()
    assert client["tests"].list_collection_names() == ["b"]
    client.drop_database("tests")
    assert client["tests"].list_collection_names() == []
    assert client.server_info()["version"].startswith("7.")


def test_the_unknown_is_refused(client: Client, slabs: Slabs) -> None:
    with pytest.raises(OperationFailure, match="no such command: 'compact'"):
        client["tests"].command("compact", "slabs")
    with pytest.raises(OperationFailure, match="collation: not known here"):
        list(slabs.find(collation={"locale": "de"}))
    slabs.insert_one({})
    with pytest.raises(OperationFailure, match="nonsense"):
        slabs.update_one({}, {"$nonsense": {"n": 1}})
    with (
        client.start_session() as session,
        pytest.raises(OperationFailure, match="replica set"),
        session.start_transaction(),
    ):
        slabs.find_one({}, session=session)
    assert client["tests"].command("ping")["ok"] == 1


def test_a_message_that_is_too_large_ends_the_connection() -> None:
    with MongoServer(largest=100_000) as server, Client(server.uri) as client:
        client["tests"]["slabs"].insert_one({"blob": bytes(90_000)})
        with pytest.raises(AutoReconnect):
            client["tests"]["slabs"].insert_one({"blob": bytes(100_000)})
        assert client["tests"]["slabs"].count_documents({}) == 1


@pytest.mark.parametrize(
    "message",
    [
        struct.pack("<iiii", 2_000_000_000, 1, 0, 2013),
        struct.pack("<iiii", 3, 1, 0, 2013),
        struct.pack("<iiii", 20, 1, 0, 2012) + bytes(4),
        struct.pack("<iiii", 30, 1, 0, 2013) + bytes(14),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["long", "short", "unknown", "no document", "no message"],
)
def test_no_message_ends_the_connection(server: MongoServer, message: bytes) -> None:
    with socket.create_connection((LOOPBACK, server.port), 5) as connection:
        connection.sendall(message)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def _comes(condition: Callable[[], bool], patience: float = 20.0) -> bool:
    """Whether it does in time."""
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_nothing_is_left_of_it() -> None:
    assert _comes(lambda: not [t for t in threading.enumerate() if "pymongo" in t.name])
    before = threading.active_count()
    with MongoServer() as server:
        address = (LOOPBACK, server.port)
        silent = socket.create_connection(address, 5)
        halfway = socket.create_connection(address, 5)
        halfway.sendall(struct.pack("<iiii", 100, 1, 0, 2013))
        assert _comes(lambda: threading.active_count() == before + 3)
    with silent, halfway:
        assert (silent.recv(1), halfway.recv(1)) == (b"", b"")
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_other_processes(tmp_path: Path, number: signal.Signals) -> None:
    port_file = tmp_path / "port"
    words = [sys.executable, "-m", "tests.fakes.mongo", "--port-file", str(port_file)]
    with subprocess.Popen(words, cwd=ROOT) as process:
        try:
            assert _comes(port_file.exists)
            uri = f"mongodb://{LOOPBACK}:{port_file.read_text().strip()}"
            with Client(uri) as client:
                client["tests"]["slabs"].insert_one({"n": 1})
                assert client["tests"]["slabs"].count_documents({}) == 1
                process.send_signal(number)
                assert process.wait(10) == 0
        finally:
            process.kill()
    with (
        Client(uri, serverSelectionTimeoutMS=200) as client,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client["tests"].command("ping")
