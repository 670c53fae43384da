"""Relax on the parent alone, or walk down a fixed surrogate first (warm start)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ase import Atoms

from finetuna_flows.geometry import moved
from finetuna_flows.protocols import ParentCalculator, Surrogate
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Decision, Relaxation, Step
from finetuna_flows.relaxation.beside_end import settle
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.on_parent import walk_on_parent
from finetuna_flows.relaxation.optimizers import (
    ON_THE_PARENT,
    ON_THE_SURROGATE,
    check_optimizer,
    descend,
)
from finetuna_flows.relaxation.run import Observer, Run


def relax_on_parent(
    start: Atoms,
    *,
    parent: ParentCalculator,
    ledger: Ledger,
    fmax: float,
    limits: Limits,
    optimizer: str = "BFGS",
    observers: Sequence[Observer] = (),
) -> Relaxation:
    """Relax with a parent call at every geometry: what the online learner is compared with.

    Parameters are those of `relaxation.online.relax_online`; `optimizer` is a name from
    `optimizers.ON_THE_PARENT`. Every evaluation counts, trial steps of line searches included.
    """
    check_optimizer(optimizer, ON_THE_PARENT)
    run = Run(start, fmax, limits, ledger, observers)
    reason = walk_on_parent(start, parent, optimizer, run)
    reason, end = settle(run, parent, reason)
    return run.finish(optimizer, parent.level, reason, end)


def relax_warm_start(
    start: Atoms,
    *,
    surrogate: Surrogate,
    parent: ParentCalculator,
    ledger: Ledger,
    fmax: float,
    limits: Limits,
    max_surrogate_steps: int = 300,
    optimizer: str = "BFGS",
    observers: Sequence[Observer] = (),
) -> Relaxation:
    """Relax on the surrogate until it says converged, then go on with the parent alone.

    Parameters are those of `relaxation.online.relax_online`. The parent takes over too where the
    surrogate is not converged after `max_surrogate_steps` or finds no way down.
    """
    check_optimizer(optimizer, ON_THE_SURROGATE)
    run = Run(start, fmax, limits, ledger, observers)

    def predict(atoms: Atoms) -> Step:
        step = ledger.replay(atoms) or _predicted(atoms, surrogate, run)
        if not step.replayed:
            ledger.write(step)
        run.record(step)
        return step

    def surrogate_is_done(step: Step) -> StopReason | None:
        if run.below_threshold(step) or len(run.history) >= max_surrogate_steps:
            return StopReason.CONVERGED
        return run.may_stop(step)

    reason = descend(start, optimizer, predict, surrogate_is_done, run.history)
    if reason in (StopReason.CONVERGED, StopReason.OPTIMIZER_GAVE_UP):
        reached = moved(start, run.history[-1].positions)
        reason = walk_on_parent(reached, parent, optimizer, run)
    reason, end = settle(run, parent, reason)
    return run.finish("warm_start", parent.level, reason, end)


def _predicted(atoms: Atoms, surrogate: Surrogate, run: Run) -> Step:
    started = time.perf_counter()
    prediction = surrogate.predict(atoms)
    return Step(
        index=len(run.history),
        positions=atoms.get_positions(),
        decision=Decision(),
        prediction=prediction,
        prediction_time=time.perf_counter() - started,
    )
