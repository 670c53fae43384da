"""What commands are made of, and how they fail."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError, OperationFailure

Answer = dict[str, Any]
CommandTable = dict[str, Callable[[Answer], Answer]]

INTERNAL_ERROR, BAD_VALUE, ILLEGAL_OPERATION, NO_NAMESPACE = 1, 2, 20, 26
CURSOR_NOT_FOUND, COMMAND_NOT_FOUND, NOT_SUPPORTED, TOO_LARGE = 43, 59, 115, 10334


def failure(code: int, message: str) -> Answer:
    """Answer to a command that is not carried out."""
    return {"ok": 0.0, "code": code, "errmsg": message}


def explain(problem: Exception) -> Answer:
    """Answer to a command that went wrong."""
    if isinstance(problem, OperationFailure):
        return failure(problem.code or BAD_VALUE, str(problem))
    if isinstance(problem, NotImplementedError):
        return failure(NOT_SUPPORTED, str(problem))
    if isinstance(problem, ValueError | TypeError):
        return failure(BAD_VALUE, str(problem))
    return failure(INTERNAL_ERROR, "".join(traceback.format_exception(problem)))


def each_statement(
    command: Answer, key: str, carry_out: Callable[[Answer], tuple[int, Answer]]
) -> Answer:
    """Carry out a command's statements up to the first that fails, or all where it is unordered.

    `carry_out` tells how many documents a statement met, and what it adds to the answer: numbers,
    which are summed, and the `_id` of an upserted document.
    """
    answer: Answer = {"n": 0}
    for index, statement in enumerate(command[key]):
        try:
            count, more = carry_out(statement)
        except (OperationFailure, ValueError, TypeError, NotImplementedError) as problem:
            answer.setdefault("writeErrors", []).append({"index": index, **_write_error(problem)})
            if command.get("ordered", True):
                break
            continue
        answer["n"] += count
        for name, value in more.items():
            if name == "upserted":
                answer.setdefault(name, []).append({"index": index, "_id": value})
            else:
                answer[name] = answer.get(name, 0) + value
    return answer


def _write_error(problem: Exception) -> Answer:
    if isinstance(problem, DuplicateKeyError):
        return {"code": 11000, "errmsg": str(problem)}
    told = explain(problem)
    return {"code": told["code"], "errmsg": told["errmsg"]}


def refuse(statement: Mapping[str, Any], *options: str) -> None:
    """Refuse what would change the result and is not known here.

    Raises
    ------
    NotImplementedError
        If one of the options is used.
    """
    used = [each for each in options if statement.get(each)]
    if used:
        raise NotImplementedError(f"{', '.join(used)}: not known here")


def is_replacement(change: object) -> bool:
    """Whether it is a whole document, rather than operators or a pipeline."""
    return isinstance(change, Mapping) and not any(key.startswith("$") for key in change)


def sorting(command: Answer) -> list[tuple[str, Any]] | None:
    """Keys and directions, as mongomock takes them."""
    return list(command["sort"].items()) if command.get("sort") else None
