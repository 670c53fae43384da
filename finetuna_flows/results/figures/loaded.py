"""The large parts of a relaxation's document, which a store gives only when asked."""

from __future__ import annotations

from finetuna_flows.results.document_parts import BlobReference, LedgerEntry, Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.figures.style import NothingToDrawError


def loaded_trajectory(doc: RelaxationDoc) -> Trajectory:
    """The trajectory of a relaxation.

    Raises
    ------
    NothingToDrawError
        If it has none.
    ValueError
        If it is still in the store ``data``.
    """
    if isinstance(doc.trajectory, BlobReference):
        raise ValueError(
            f"the trajectory of {doc.uuid} is not loaded; take the document with `load=True`"
        )
    if doc.trajectory is None:
        raise NothingToDrawError(f"{doc.uuid} has no trajectory")
    return doc.trajectory


def loaded_ledger(doc: RelaxationDoc) -> tuple[LedgerEntry, ...]:
    """The ledger of a relaxation; empty if it has none.

    Raises
    ------
    ValueError
        If it is still in the store ``data``.
    """
    if isinstance(doc.ledger, BlobReference):
        raise ValueError(
            f"the ledger of {doc.uuid} is not loaded; take the document with `load=True`"
        )
    return doc.ledger or ()


def endpoint(doc: RelaxationDoc, trajectory: Trajectory) -> int:
    """Index of the step that the document's energy is of: a label, else the last step."""
    found = [
        step
        for step, labelled in enumerate(trajectory.labelled)
        if labelled and trajectory.energies[step] == doc.energy
    ]
    return found[-1] if found else len(trajectory.labelled) - 1
