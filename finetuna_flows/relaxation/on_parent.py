"""Walk on the parent's own forces."""

from __future__ import annotations

from dataclasses import replace

from ase import Atoms

from finetuna_flows.geometry import Array
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Step
from finetuna_flows.relaxation.observers import log_asking
from finetuna_flows.relaxation.optimizers import descend
from finetuna_flows.relaxation.run import Run


def walk_on_parent(
    start: Atoms,
    parent: ParentCalculator,
    optimizer: str,
    run: Run,
    *,
    reason: QueryReason = QueryReason.PARENT_DRIVEN,
    hessian: Array | None = None,
    prediction_time: float = 0.0,
) -> StopReason:
    """Go downhill from `start` with a label at every geometry; a known one is not asked again.

    Parameters
    ----------
    start
        Left as it is.
    parent
        Entered already.
    optimizer
        A name from `optimizers.ON_THE_PARENT`.
    run
        Where every step goes.
    reason
        What is written beside each label.
    hessian
        See `optimizers.descend`.
    prediction_time
        Seconds that a surrogate has spent on `hessian`; booked with the first label.
    """
    first = len(run.history)

    def label(atoms: Atoms) -> Step:
        known = run.history.labelled_at(atoms.positions)
        if known is not None:
            return known
        step = run.ledger.replay(atoms)
        if step is None:
            step = Step(
                index=len(run.history),
                positions=atoms.get_positions(),
                decision=Decision((reason,)),
                prediction_time=prediction_time if len(run.history) == first else 0.0,
            )
            log_asking(step)
            step = replace(step, label=parent.label(atoms))
            run.ledger.write(step)
        run.record(step)
        return step

    return descend(start, optimizer, label, run.may_stop, run.history, hessian=hessian)
