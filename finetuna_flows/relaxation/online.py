"""Relax with a surrogate that learns on the fly and a parent that has the last word."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from finetuna_flows.protocols import FineTuner, ParentCalculator, QueryCriterion, Surrogate
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Relaxation, Step
from finetuna_flows.relaxation.beside_end import settle
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.learner import Learner
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.optimizers import ON_THE_SURROGATE, check_optimizer, descend
from finetuna_flows.relaxation.run import Observer, Run
from finetuna_flows.relaxation.tail import Tail


def relax_online(
    start: Atoms,
    *,
    surrogate: Surrogate,
    tuner: FineTuner,
    parent: ParentCalculator,
    criterion: QueryCriterion,
    ledger: Ledger,
    fmax: float,
    limits: Limits,
    optimizer: str = "BFGS",
    returns_to_best: bool = False,
    endpoint_fraction: float = 1.0,
    tail: Tail | None = None,
    observers: Sequence[Observer] = (),
) -> Relaxation:
    """Relax until the parent's own forces are below `fmax`.

    After Musielewicz, Wang, Tian, Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022).

    Parameters
    ----------
    start
        The geometry with its constraints; left as it is.
    surrogate, tuner
        The model and what teaches it.
    parent, ledger
        Entered already.
    criterion
        When to ask the parent, besides before stopping.
    fmax
        eV/Å, over the free atoms.
    limits
        What ends the run otherwise.
    optimizer
        A name from `optimizers.ON_THE_SURROGATE`.
    returns_to_best
        Whether a label worse than the best one sends the optimizer back to the best.
    endpoint_fraction
        Of `fmax`: how far the predicted forces fall before an endpoint is verified.
    tail
        How the parent alone finishes; None: the surrogate leads to the end.
    observers
        Called after every step.
    """
    check_optimizer(optimizer, ON_THE_SURROGATE)
    run = Run(start, fmax, limits, ledger, observers, returns_to_best=returns_to_best)
    learner = Learner(surrogate, parent, criterion, tuner, run, endpoint_fraction=endpoint_fraction)

    def may_leave(step: Step) -> StopReason | None:
        reason = run.may_stop(step)
        if reason is None and tail is not None and tail.begins_at(step, run.history):
            return StopReason.CONVERGED  # as far as the surrogate leads
        return reason

    reason = descend(
        start, optimizer, learner.evaluate, may_leave, run.history, surface_learns=True
    )
    newest = run.history[-1]
    if tail is not None and reason is StopReason.CONVERGED and not run.below_threshold(newest):
        reason = tail.walk(run.history.at(newest), surrogate, parent, run)
    reason, end = settle(run, parent, reason)
    return run.finish("online", parent.level, reason, end)
