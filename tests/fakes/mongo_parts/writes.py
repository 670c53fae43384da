"""Commands that write."""

from __future__ import annotations

from typing import Any

from pymongo import ReturnDocument

from tests.fakes.mongo_parts.statements import (
    Answer,
    CommandTable,
    each_statement,
    is_replacement,
    refuse,
    sorting,
)


class Writes:
    """Commands that change documents, collections or indexes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def table(self) -> CommandTable:
        """By their names in lower case."""
        return {
            "create": self._create,
            "createindexes": self._create_indexes,
            "delete": self._delete,
            "drop": self._drop,
            "dropdatabase": self._drop_database,
            "dropindexes": self._drop_indexes,
            "findandmodify": self._find_and_modify,
            "insert": self._insert,
            "update": self._update,
        }

    def _collection(self, command: Answer) -> Any:
        return self._client[command["$db"]][next(iter(command.values()))]

    def _insert(self, command: Answer) -> Answer:
        collection = self._collection(command)

        def insert(document: Answer) -> tuple[int, Answer]:
            collection.insert_one(document)
            return 1, {}

        return each_statement(command, "documents", insert)

    def _update(self, command: Answer) -> Answer:
        collection = self._collection(command)

        def update(statement: Answer) -> tuple[int, Answer]:
            refuse(statement, "collation", "arrayFilters", "c")
            change, multi = statement["u"], statement.get("multi", False)
            if is_replacement(change):
                apply = collection.replace_one
            else:
                apply = collection.update_many if multi else collection.update_one
            done = apply(statement["q"], change, upsert=statement.get("upsert", False))
            if done.upserted_id is not None:
                return 1, {"upserted": done.upserted_id}
            return done.matched_count, {"nModified": done.modified_count}

        return {"nModified": 0, **each_statement(command, "updates", update)}

    def _delete(self, command: Answer) -> Answer:
        collection = self._collection(command)

        def delete(statement: Answer) -> tuple[int, Answer]:
            refuse(statement, "collation")
            apply = collection.delete_one if statement["limit"] else collection.delete_many
            return apply(statement["q"]).deleted_count, {}

        return each_statement(command, "deletes", delete)

    def _find_and_modify(self, command: Answer) -> Answer:
        refuse(command, "collation", "arrayFilters", "let")
        collection = self._collection(command)
        query, order = command.get("query", {}), sorting(command)
        fields = command.get("fields") or None
        if command.get("remove"):
            value = collection.find_one_and_delete(query, fields, sort=order)
            return {"value": value, "lastErrorObject": {"n": int(value is not None)}}
        existed = collection.find_one(query, {"_id": 1}) is not None
        replace = is_replacement(command["update"])
        apply = collection.find_one_and_replace if replace else collection.find_one_and_update
        value = apply(
            query,
            command["update"],
            projection=fields,
            sort=order,
            upsert=command.get("upsert", False),
            return_document=ReturnDocument.AFTER if command.get("new") else ReturnDocument.BEFORE,
        )
        return {"value": value, "lastErrorObject": {"n": int(existed), "updatedExisting": existed}}

    def _create(self, command: Answer) -> Answer:
        self._client[command["$db"]].create_collection(command["create"])
        return {}

    def _drop(self, command: Answer) -> Answer:
        self._client[command["$db"]].drop_collection(command["drop"])
        return {}

    def _drop_database(self, command: Answer) -> Answer:
        self._client.drop_database(command["$db"])
        return {}

    def _create_indexes(self, command: Answer) -> Answer:
        for index in command["indexes"]:
            refuse(index, "expireAfterSeconds", "partialFilterExpression", "collation")
            options = {key: index[key] for key in ("name", "unique", "sparse") if key in index}
            self._collection(command).create_index(list(index["key"].items()), **options)
        return {}

    def _drop_indexes(self, command: Answer) -> Answer:
        if command["index"] == "*":
            self._collection(command).drop_indexes()
        else:
            self._collection(command).drop_index(command["index"])
        return {}
