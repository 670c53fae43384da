"""Results that are handed out in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from tests.fakes.mongo_parts.wire import LARGEST_DOCUMENT, Document

FIRST_BATCH = 101
"""Documents, as in MongoDB, where the client does not say."""


class Cursors:
    """Open cursors; none is forgotten by itself."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._open: dict[int, deque[RawBSONDocument]] = {}

    def start(
        self, documents: Iterable[Document], namespace: str, size: int | None, *, single: bool
    ) -> dict[str, Any]:
        """Answer with the first batch."""
        rest = deque(RawBSONDocument(bson.encode(each)) for each in documents)
        batch = _take(rest, FIRST_BATCH if size is None else size)
        number = 0
        if rest and not single:
            number = next(self._numbers)
            self._open[number] = rest
        return {"cursor": {"id": bson.Int64(number), "ns": namespace, "firstBatch": batch}}

    def go_on(self, number: int, namespace: str, size: int | None) -> dict[str, Any] | None:
        """Answer with the next batch; None where there is no such cursor."""
        rest = self._open.get(number)
        if rest is None:
            return None
        batch = _take(rest, size)
        if not rest:
            del self._open[number]
        left = bson.Int64(number if rest else 0)
        return {"cursor": {"id": left, "ns": namespace, "nextBatch": batch}}

    def stop(self, numbers: Iterable[int]) -> dict[str, Any]:
        """Forget them."""
        known = [each for each in numbers if self._open.pop(each, None) is not None]
        return {"cursorsKilled": known, "cursorsNotFound": [], "cursorsAlive": []}

    def __len__(self) -> int:
        return len(self._open)


def _take(rest: deque[RawBSONDocument], size: int | None) -> list[RawBSONDocument]:
    """So many documents, as far as they fit one message; one at least where any is asked for."""
    batch: list[RawBSONDocument] = []
    length = 0
    while rest and (size is None or len(batch) < size):
        length += len(rest[0].raw)
        if batch and length > LARGEST_DOCUMENT:
            break
        batch.append(rest.popleft())
    return batch
