"""Commands that read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mongomock_ng.filtering import filter_applies
from pymongo.errors import OperationFailure

from tests.fakes.mongo_parts.cursors import Cursors
from tests.fakes.mongo_parts.statements import (
    CURSOR_NOT_FOUND,
    NO_NAMESPACE,
    Answer,
    CommandTable,
    refuse,
    sorting,
)
from tests.fakes.mongo_parts.wire import Document


class Reads:
    """Commands that answer with documents, in batches where there may be many."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.cursors = Cursors()

    def table(self) -> CommandTable:
        """By their names in lower case."""
        return {
            "aggregate": self._aggregate,
            "count": self._count,
            "distinct": self._distinct,
            "find": self._find,
            "getmore": self._get_more,
            "killcursors": lambda command: self.cursors.stop(command["cursors"]),
            "listcollections": self._list_collections,
            "listdatabases": self._list_databases,
            "listindexes": self._list_indexes,
        }

    def _collection(self, command: Answer, key: str) -> Any:
        return self._client[command["$db"]][command[key]]

    def _batches(self, command: Answer, key: str, documents: Iterable[Document]) -> Answer:
        size = command.get("cursor", command).get("batchSize")
        namespace = f"{command['$db']}.{command[key]}"
        single = command.get("singleBatch", False)
        return self.cursors.start(documents, namespace, size, single=single)

    def _find(self, command: Answer) -> Answer:
        refuse(command, "collation", "min", "max", "tailable")
        found = self._collection(command, "find").find(
            command.get("filter"),
            command.get("projection") or None,
            skip=command.get("skip", 0),
            limit=command.get("limit", 0),
            sort=sorting(command),
        )
        return self._batches(command, "find", found)

    def _aggregate(self, command: Answer) -> Answer:
        refuse(command, "collation", "let")
        found = self._collection(command, "aggregate").aggregate(command["pipeline"])
        return self._batches(command, "aggregate", found)

    def _get_more(self, command: Answer) -> Answer:
        namespace = f"{command['$db']}.{command['collection']}"
        number = command["getMore"]
        answer = self.cursors.go_on(number, namespace, command.get("batchSize"))
        if answer is None:
            raise OperationFailure(f"cursor id {number} not found", CURSOR_NOT_FOUND)
        return answer

    def _count(self, command: Answer) -> Answer:
        limits = {key: command[key] for key in ("skip", "limit") if command.get(key)}
        query = command.get("query", {})
        return {"n": self._collection(command, "count").count_documents(query, **limits)}

    def _distinct(self, command: Answer) -> Answer:
        collection = self._collection(command, "distinct")
        return {"values": collection.distinct(command["key"], command.get("query"))}

    def _list_indexes(self, command: Answer) -> Answer:
        found = list(self._collection(command, "listIndexes").list_indexes())
        if not found:
            raise OperationFailure("ns does not exist", NO_NAMESPACE)
        return self._batches(command, "listIndexes", found)

    def _list_collections(self, command: Answer) -> Answer:
        names = self._client[command["$db"]].list_collection_names()
        listed = [{"name": name, "type": "collection", "options": {}} for name in names]
        applies: Any = filter_applies
        found = [each for each in listed if applies(command.get("filter", {}), each)]
        return self._batches(command, "listCollections", found)

    def _list_databases(self, command: Answer) -> Answer:
        names = self._client.list_database_names()
        return {"databases": [{"name": name, "empty": False} for name in names]}
