"""From the geometries of a file to one `Relaxation`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import displacements, fmax, free_components
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Relaxation, Step
from finetuna_flows.relaxation.recorded.record import Record
from finetuna_flows.relaxation.vasp.history import SAME_CELL
from finetuna_flows.relaxation.vasp.join import DEFAULT_FMAX
from finetuna_flows.relaxation.vasp.match import Indices
from finetuna_flows.structures.connectivity import integrity

logger = logging.getLogger(__name__)


def only_one_structure(records: Sequence[Record]) -> tuple[list[Record], tuple[str, ...]]:
    """Those with the atoms and the cell of the first, and what is wrong with the others.

    Raises
    ------
    ValueError
        If half of them or more differ from the first: then this is something else than one
        relaxation at a fixed cell, and not a few damaged geometries.
    """
    kept, odd = [], []
    for record in records:
        difference = _difference(records[0].atoms, record.atoms)
        if difference:
            odd.append(f"{record.where} {difference}")
        else:
            kept.append(record)
    if odd and len(odd) >= len(kept):
        raise ValueError(
            f"{odd[0]}, and so do {len(odd)} of {len(records)}; tell the relaxations in one file "
            "apart by keys (--by), and take only those at a fixed cell"
        )
    return kept, tuple(odd)


def join_records(
    records: Sequence[Record],
    *,
    start: Atoms,
    order: Indices,
    method: str,
    level: str,
    threshold: float | None,
) -> Relaxation:
    """Make one relaxation of the geometries that belong to it.

    Parameters
    ----------
    records
        Of one structure, in the order of time.
    start
        Where it started, with its constraints and tags.
    order
        For each of its atoms the index in the records.
    method, level
        As in `Relaxation`.
    threshold
        eV/Å that the forces on free atoms had to reach; the relaxation ends at the first label
        that reaches it. None: all of it, against 0.03.

    Raises
    ------
    ParentError
        If there is no label.
    StructureError
        If a constraint is none of those that are known here.
    """
    steps = tuple(_steps(records, start, order))
    labelled = [step for step in steps if step.label is not None]
    if not labelled:
        raise ParentError(f"{records[0].where} and all after it: not one geometry is labelled")
    wanted = threshold or DEFAULT_FMAX
    free = free_components(start)
    end = labelled[-1]
    if threshold is not None:
        end = next((step for step in labelled if fmax(step.forces, free) <= wanted), end)
        if end is not labelled[-1]:
            left = len(steps) - end.index - 1
            logger.info(
                "%s reached %g eV/Å there; %d geometries after it are left out",
                records[end.index].where,
                wanted,
                left,
            )
            steps = steps[: end.index + 1]
    converged = fmax(end.forces, free) <= wanted
    whole = Relaxation(
        method=method,
        level=level,
        start=start,
        steps=steps,
        stop_reason=StopReason.CONVERGED if converged else StopReason.NOT_RECORDED,
        fmax_threshold=wanted,
        integrity=integrity(start, start),
        ended_at=end.index,
    )
    return replace(whole, integrity=integrity(start, whole.final))


def _difference(first: Atoms, other: Atoms) -> str:
    """Why a geometry is not of the first one's relaxation; empty if it is."""
    if not np.array_equal(first.numbers, other.numbers):
        same = sorted(first.numbers) == sorted(other.numbers)
        said = "the same atoms in another order" if same else f"the atoms {other.symbols}"
        return f"holds {said} but the first geometry {first.symbols}"
    change = float(np.abs(first.cell.array - other.cell.array).max())
    if change > SAME_CELL:
        return f"has another cell than the first geometry, by {change:.5f} Å"
    if not np.array_equal(first.pbc, other.pbc):
        return f"is periodic along {other.pbc} but the first geometry along {first.pbc}"
    return ""


def _steps(records: Sequence[Record], start: Atoms, order: Indices) -> Iterator[Step]:
    """In the order of the atoms of `start`, unwrapped from one to the next."""
    before = start.positions
    for index, record in enumerate(records):
        before = before + displacements(before, record.atoms.positions[order], start)
        label, prediction = record.label, record.prediction
        if label is not None:
            label = replace(label, forces=label.forces[order])
        if prediction is not None:
            prediction = replace(prediction, forces=prediction.forces[order])
        yield Step(
            index=index,
            positions=before,
            decision=record.decision,
            prediction=prediction,
            label=label,
            fit=record.fit,
            wall_time=record.wall_time,
        )
