"""Where a relaxation went, as figures draw it."""

from __future__ import annotations

from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.figures.style import NothingToDrawError
from finetuna_flows.results.loaded import loaded_trajectory


def drawn_trajectory(doc: RelaxationDoc) -> Trajectory:
    """The trajectory of a relaxation.

    Raises
    ------
    NothingToDrawError
        If it has none.
    ValueError
        If it is still in the store ``data``.
    """
    trajectory = loaded_trajectory(doc)
    if trajectory is None:
        raise NothingToDrawError(f"{doc.uuid} has no trajectory")
    return trajectory


def endpoint(doc: RelaxationDoc, trajectory: Trajectory) -> int:
    """Index of the step that the document's energy is of: a label, else the last step."""
    found = [
        step
        for step, labelled in enumerate(trajectory.labelled)
        if labelled and trajectory.energies[step] == doc.energy
    ]
    return found[-1] if found else len(trajectory.labelled) - 1
