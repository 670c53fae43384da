"""A program that is stopped while nobody needs its answer."""

from __future__ import annotations

import logging
import time

from finetuna_flows.processes.ranks import Ranks, RanksError

logger = logging.getLogger(__name__)


class Pause:
    """Whether the ranks of one program are stopped, and for how long they have been.

    Parameters
    ----------
    ranks
        Of the program.
    policy
        ``no``: they never are; ``yes``: it is an error where that cannot be verified; ``auto``: a
        warning, once.
    name
        Of the program, in the warning.
    """

    def __init__(self, ranks: Ranks, policy: str, name: str) -> None:
        self._ranks = ranks
        self._policy = policy
        self._name = name
        self._since: float | None = None
        self._before = 0.0

    @property
    def total(self) -> float:
        """Seconds of all pauses that have ended."""
        return self._before

    def begin(self) -> None:
        """Stop the ranks, and see that they are.

        Raises
        ------
        RanksError
            If they are not, and the policy is that they must.
        """
        if self._policy == "no" or self._since is not None:
            return
        started = time.perf_counter()
        try:
            self._ranks.stop()
        except RanksError as exc:
            self._ranks.resume_all()
            if self._policy == "yes":
                raise
            logger.warning("%s goes on using its processors between labels: %s", self._name, exc)
            self._policy = "no"
        else:
            self._since = started

    def end(self) -> None:
        """Let the ranks go on, and see that they do.

        Raises
        ------
        RanksError
            If one of them stays stopped.
        """
        if self._since is None:
            return
        self._ranks.resume()
        self._before += time.perf_counter() - self._since
        self._since = None
