"""Twin jobs meet in the store of their results, where both can reach it while they run."""

from __future__ import annotations

from dataclasses import dataclass

from jobflow import CURRENT_JOB
from maggma.core import Store
from monty.json import MSONable

from finetuna_flows.errors import StoreError

NOTE = "finetuna_flows_note"


@dataclass(frozen=True)
class StoreRendezvous(MSONable):
    """Notes are documents of the job store, for as long as the twins run.

    FireWorks' workers reach the store; jobflow-remote's do not: use a folder there. Whoever can
    read the store can read the run's token.
    """

    def __str__(self) -> str:
        """In words."""
        return "the job store"

    def put(self, name: str, text: str) -> None:
        """Leave a note."""
        _store().update([{"uuid": name, "index": 1, NOTE: text}], key=["uuid", "index"])

    def get(self, name: str) -> str | None:
        """Read a note."""
        found = _store().query_one({"uuid": name}, [NOTE])
        return None if found is None else str(found[NOTE])

    def remove(self, name: str) -> None:
        """Take it away."""
        _store().remove_docs({"uuid": name})


def _store() -> Store:
    """The documents of the running job's store.

    Raises
    ------
    StoreError
        If the job has none at hand.
    """
    store = CURRENT_JOB.store
    if store is None:
        raise StoreError(
            "StoreRendezvous is said but this job cannot reach its store while it runs, as with "
            "jobflow-remote; take FileRendezvous, in a folder that both jobs see",
            retryable=False,
        )
    docs: Store = store.docs_store
    return docs
