"""One relaxation under way: what has happened, what is on disk, and whether it may stop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ase import Atoms

from finetuna_flows.force_consistency import ConsistencyCheck
from finetuna_flows.geometry import fmax
from finetuna_flows.history import History
from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.records import Relaxation, Step
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.structures.connectivity import integrity

logger = logging.getLogger(__name__)

Observer = Callable[[Step, History], None]


def check_threshold(fmax: float) -> None:
    """Refuse a force threshold that no relaxation can reach.

    Raises
    ------
    ValueError
        If it is not a positive number.
    """
    if not 0 < fmax < math.inf:
        raise ValueError(f"`fmax` is {fmax} eV/Å but must be a positive number")


class Run:
    """History, ledger, limits and observers of one relaxation.

    Parameters
    ----------
    start
        The geometry as it was given, with its constraints.
    threshold
        eV/Å; converged is what the parent's own fmax over the free atoms confirms.
    limits
        What ends the run otherwise.
    ledger
        Entered already.
    observers
        Called after every step.
    returns_to_best
        Whether a label worse than the best one sends the optimizer back to the best.
    """

    def __init__(
        self,
        start: Atoms,
        threshold: float,
        limits: Limits,
        ledger: Ledger,
        observers: Sequence[Observer] = (),
        *,
        returns_to_best: bool = False,
    ) -> None:
        check_threshold(threshold)
        self.history = History(start.copy(), returns_to_best)
        self.threshold = threshold
        self.ledger = ledger
        self._limits = limits
        self._observers = observers
        self._started = self._last = time.perf_counter()
        self._integrity = integrity(self.history.start, self.history.start)
        self._consistency = ConsistencyCheck(self.history.free)
        self._told: set[str] = set()

    def below_threshold(self, step: Step) -> bool:
        """Whether the forces that the optimizer was told are below the threshold."""
        return fmax(step.forces, self.history.free) <= self.threshold

    def record(self, step: Step) -> None:
        """Add a finished step to the history and tell the observers."""
        now = time.perf_counter()
        step = replace(step, wall_time=step.wall_time if step.replayed else now - self._last)
        self._last = now
        self.history.append(step)
        if step.label is not None:
            self._watch_adsorbate(step)
            self._watch_forces(step)
        for observe in self._observers:
            observe(step, self.history)

    def may_stop(self, step: Step) -> StopReason | None:
        """Why the run ends after this step; None if it goes on."""
        forces = self._consistency.result
        if step.label is not None and self.below_threshold(step):
            return StopReason.CONVERGED if forces.gradient else StopReason.INCONSISTENT_FORCES
        if forces.hopeless:
            return StopReason.INCONSISTENT_FORCES
        if self.ledger.next is not None:
            return None
        return self._limits.exceeded(self.history, time.perf_counter() - self._started)

    def can_still_ask(self) -> bool:
        """Whether no limit forbids one more label."""
        return self._limits.exceeded(self.history, time.perf_counter() - self._started) is None

    def finish(
        self, method: str, level: str, reason: StopReason, end: Step | None = None
    ) -> Relaxation:
        """Close the books.

        Parameters
        ----------
        method, level, reason
            See `Relaxation`.
        end
            The labelled step where it ends. None: the best one where the run returns to the best
            and is not converged, else the newest one.
        """
        history = self.history
        best = history.returns_to_best and reason is not StopReason.CONVERGED
        end = end or (history.best_labelled if best else history.last_labelled)
        return Relaxation(
            method=method,
            level=level,
            start=self.history.start,
            steps=tuple(self.history),
            stop_reason=reason,
            fmax_threshold=self.threshold,
            integrity=integrity(history.start, history.at(end)) if end else self._integrity,
            ended_at=end.index if end else None,
        )

    def _watch_adsorbate(self, step: Step) -> None:
        found = integrity(self.history.start, self.history.at(step))
        if found not in (self._integrity, Integrity.INTACT):
            logger.warning("step %d: %s", step.index, found.sentence)
        self._integrity = found

    def _watch_forces(self, step: Step) -> None:
        """Tell once that the forces contradict the energies, and once that they are noisy."""
        self._consistency.add(step)
        found = self._consistency.result
        noisy = found.noisier_than(self.threshold)
        for kind, sentence in (("contradiction", found.sentence), ("noise", noisy)):
            if sentence is not None and kind not in self._told:
                self._told.add(kind)
                logger.warning("step %d: %s", step.index, sentence)
