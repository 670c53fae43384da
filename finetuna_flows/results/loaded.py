"""The large parts of a relaxation's document, which a store gives only when asked."""

from __future__ import annotations

from finetuna_flows.results.document_parts import BlobReference, LedgerEntry, Trajectory
from finetuna_flows.results.documents import RelaxationDoc


def loaded_trajectory(doc: RelaxationDoc) -> Trajectory | None:
    """The trajectory of a relaxation; None if it has none.

    Raises
    ------
    ValueError
        If it is still in the store ``data``.
    """
    if isinstance(doc.trajectory, BlobReference):
        raise _not_loaded("trajectory", doc)
    return doc.trajectory


def loaded_ledger(doc: RelaxationDoc) -> tuple[LedgerEntry, ...]:
    """The ledger of a relaxation; empty if it has none.

    Raises
    ------
    ValueError
        If it is still in the store ``data``.
    """
    if isinstance(doc.ledger, BlobReference):
        raise _not_loaded("ledger", doc)
    return doc.ledger or ()


def _not_loaded(part: str, doc: RelaxationDoc) -> ValueError:
    return ValueError(
        f"the {part} of {doc.uuid} is not loaded; look it up with "
        "`relaxation_doc(store, uuid, load=True)`"
    )
