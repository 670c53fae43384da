"""The steps of a relaxation as its document keeps them: trajectory, ledger, where the time went."""

from __future__ import annotations

from collections.abc import Sequence

from finetuna_flows.force_consistency import check_consistency
from finetuna_flows.geometry import Mask, fmax, free_components, rms
from finetuna_flows.records import Relaxation, Step
from finetuna_flows.results.document_parts import (
    ForceConsistency,
    LedgerEntry,
    Timings,
    Trajectory,
)


def timings(steps: Sequence[Step]) -> Timings:
    """Add the steps up; the parent's time of a replayed step was spent by an earlier run."""
    parent = sum(step.parent_time for step in steps)
    tuning = sum(step.tuning_time for step in steps)
    prediction = sum(step.prediction_time for step in steps)
    overhead = sum(_overhead(step) for step in steps)
    return Timings(
        parent=parent,
        tuning=tuning,
        prediction=prediction,
        overhead=overhead,
        total=parent + tuning + prediction + overhead,
        replayed=sum(step.parent_time for step in steps if step.replayed),
    )


def _overhead(step: Step) -> float:
    known = step.prediction_time + step.tuning_time
    return max(0.0, step.wall_time - known - (0.0 if step.replayed else step.parent_time))


def force_consistency(relaxation: Relaxation) -> ForceConsistency:
    """What the labels say of the parent's forces."""
    found = check_consistency(relaxation.labelled, free_components(relaxation.start))
    return ForceConsistency(
        gradient=found.gradient,
        judged=found.judged,
        contradicting=found.contradicting,
        contradiction=found.sentence,
        net_force=found.net_force,
        noise=found.noisier_than(relaxation.fmax_threshold),
    )


def trajectory(relaxation: Relaxation) -> Trajectory:
    """Every step, as lists."""
    start, steps = relaxation.start, relaxation.steps
    free = free_components(start)
    predictions = [step.prediction for step in steps]
    return Trajectory(
        symbols=tuple(start.symbols),
        cell=start.cell.tolist(),
        pbc=start.pbc.tolist(),
        free=free.tolist(),
        positions=tuple(step.positions.tolist() for step in steps),
        energies=tuple(float(step.energy) for step in steps),
        forces=tuple(step.forces.tolist() for step in steps),
        labelled=tuple(step.label is not None for step in steps),
        fmax=tuple(fmax(step.forces, free) for step in steps),
        predicted_energies=tuple(float(each.energy) if each else None for each in predictions),
        predicted_fmax=tuple(fmax(each.forces, free) if each else None for each in predictions),
        predicted_spread=tuple(
            fmax(each.forces_std, free) if each and each.forces_std is not None else None
            for each in predictions
        ),
    )


def ledger(relaxation: Relaxation) -> tuple[LedgerEntry, ...]:
    """Every parent call."""
    free = free_components(relaxation.start)
    return tuple(
        LedgerEntry(
            index=index,
            step=step.index,
            reasons=step.decision.reasons,
            energy=label.energy,
            free_energy=label.free_energy,
            fmax=fmax(label.forces, free),
            scf_cycles=label.scf_cycles,
            wall_time=label.wall_time,
            restarts=label.restarts,
            replayed=step.replayed,
            predicted_energy=step.prediction.energy if step.prediction else None,
            predicted_fmax=fmax(step.prediction.forces, free) if step.prediction else None,
            force_error=_force_error(step, free),
            tuned_force_error=step.fit.force_rmse_after if step.fit else None,
        )
        for index, step in enumerate(relaxation.labelled)
        if (label := step.label) is not None
    )


def _force_error(step: Step, free: Mask) -> float | None:
    """Root mean square over the free components, eV/Å."""
    if step.prediction is None or step.label is None or not free.any():
        return None
    return rms(step.prediction.forces - step.label.forces, free)
