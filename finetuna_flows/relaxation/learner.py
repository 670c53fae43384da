"""The heart: predict, decide, ask the parent where needed, learn from its answer."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import fmax
from finetuna_flows.protocols import (
    FineTuner,
    ParentCalculator,
    QueryCriterion,
    RestingParent,
    Surrogate,
)
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Frame, Label, Prediction, Step
from finetuna_flows.relaxation.observers import log_asking
from finetuna_flows.relaxation.run import Run


class Learner:
    """Answers for a geometry with the surrogate's word, or the parent's where it asked it.

    Parameters
    ----------
    surrogate
        Changed by `tuner` alone.
    parent
        Entered already.
    criterion
        Says when to ask the parent. Whatever it says, a geometry whose predicted forces are
        below a part of the run's threshold is verified: nothing ends on a predicted force.
    tuner
        Built round `surrogate`.
    run
        Where every step goes.
    endpoint_fraction
        Of the threshold: how far the predicted forces fall before an endpoint is verified.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        parent: ParentCalculator,
        criterion: QueryCriterion,
        tuner: FineTuner,
        run: Run,
        *,
        endpoint_fraction: float = 1.0,
    ) -> None:
        self._surrogate = surrogate
        self._parent = parent
        self._criterion = criterion
        self._tuner = tuner
        self._run = run
        self._endpoint = endpoint_fraction * run.threshold

    def evaluate(self, atoms: Atoms) -> Step:
        """Take one step at this geometry, from the checkpoint where it has one.

        Raises
        ------
        SurrogateError, ParentError, FineTuningError, CheckpointError
            As the parts do; the labels so far are on disk.
        """
        step = self._run.ledger.replay(atoms) or self._take(atoms)
        if step.label is not None and not self._run.below_threshold(step):
            newest = Frame(self._run.history.at(step), step.label)
            fit = self._tuner.update([*self._run.history.frames, newest])
            step = replace(step, fit=fit)
        self._run.record(step)
        return step

    def _take(self, atoms: Atoms) -> Step:
        started = time.perf_counter()
        prediction = self._surrogate.predict(atoms)
        prediction_time = time.perf_counter() - started
        step = Step(
            index=len(self._run.history),
            positions=atoms.get_positions(),
            decision=self._decide(atoms, prediction),
            prediction=prediction,
            prediction_time=prediction_time,
        )
        if step.decision.query:
            known = self._run.history.labelled_at(atoms.positions)
            if known is None or known.label is None:
                log_asking(step)
                step = replace(step, label=self._parent.label(atoms))
            else:
                step = replace(step, label=_at_no_cost(known.label))
        self._run.ledger.write(step)
        if step.label is not None and isinstance(self._parent, RestingParent):
            self._parent.rest()  # while the surrogate learns and walks
        return step

    def _decide(self, atoms: Atoms, prediction: Prediction) -> Decision:
        past = self._run.history
        if past.origin is not None and np.array_equal(past.origin.positions, atoms.positions):
            return Decision(())  # the parent has spoken already
        decision = self._criterion.decide(past, atoms, prediction)
        if not decision.query and fmax(prediction.forces, past.free) <= self._endpoint:
            return Decision((QueryReason.ENDPOINT,))
        return decision


def _at_no_cost(label: Label) -> Label:
    """The same word, which was paid for where it was first given."""
    cycles = None if label.scf_cycles is None else 0
    return replace(label, scf_cycles=cycles, wall_time=0.0)
