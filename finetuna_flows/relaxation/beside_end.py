"""One more label beside an endpoint whose forces contradict the energies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetuna_flows.force_consistency import changes_as_told
from finetuna_flows.geometry import Array, Mask
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Step
from finetuna_flows.relaxation.observers import log_asking
from finetuna_flows.relaxation.run import Run

AWAY = 0.1
"""Å; at a curvature of 3 eV/Å², which is soft for an adsorbate, the energy rises by 15 meV."""


def settle(
    run: Run, parent: ParentCalculator, reason: StopReason
) -> tuple[StopReason, Step | None]:
    """Tell a parent that contradicts itself from one label of another electronic state.

    A run that would have converged but for a contradiction gets one more label, `AWAY` from the end
    against its largest force. If the two agree, the end is a minimum of the state that it is in.

    Returns
    -------
    Why the run ended, and the step where it did if that is not the newest one.

    Raises
    ------
    ParentError, CheckpointError
        As the parts do; the labels so far are on disk.
    """
    end = run.history.last_labelled
    if reason is not StopReason.INCONSISTENT_FORCES or end is None or not run.below_threshold(end):
        return reason, None
    if run.ledger.next is None and not run.can_still_ask():
        return reason, end
    atoms = run.history.at(end)
    atoms.set_positions(_beside(end, run.history.free), apply_constraint=False)
    step = run.ledger.replay(atoms)
    if step is None:
        step = Step(
            index=len(run.history),
            positions=atoms.get_positions(),
            decision=Decision((QueryReason.CONSISTENCY,)),
        )
        log_asking(step)
        step = replace(step, label=parent.label(atoms))
        run.ledger.write(step)
    run.record(step)
    return (StopReason.CONVERGED if changes_as_told(end, step) else reason), end


def _beside(end: Step, free: Mask) -> Array:
    """The end with one atom moved: the one with the largest free force, against it."""
    forces = np.where(free, end.forces, 0.0)
    sizes = np.round(np.linalg.norm(forces, axis=1), 6)
    atom = int(np.argmax(np.where(free.any(axis=1), sizes, -1.0)))
    way = -forces[atom] if sizes[atom] else free[atom].astype(np.float64)
    positions = end.positions.copy()
    positions[atom] += AWAY * way / np.linalg.norm(way)
    return positions
