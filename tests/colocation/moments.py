"""Bring a co-located run to a moment, and hold it there."""

from __future__ import annotations

import time

from tests.colocation.halves import Halves
from tests.colocation.nurseries import DONE_WITHIN, until
from tests.fakes.colocated_parts import phases

BEFORE, WAITING, LABELLING, TUNING, CLOSING = "before", "waiting", "labelling", "tuning", "closing"
MOMENTS = (BEFORE, WAITING, LABELLING, TUNING, CLOSING)
MET = (LABELLING, TUNING, CLOSING)
"""Those in which the halves are connected."""
SECOND = 2
"""Label or update that is held, so that something is on disk by then."""
SETTLED = 0.15
"""Seconds after which a process that has said that it is built waits."""


def begin(halves: Halves, what: str) -> None:
    """Start ``own``, or ``twins`` as two jobs, the learner's first."""
    if what == "own":
        halves.start("own")
        return
    halves.start("learner")
    halves.start("parent")


def hold(halves: Halves, what: str, who: str, moment: str) -> None:
    """Start a run and hold it where `who` is in a phase; `open` of its notes lets it go on."""
    notes = halves.notes
    if moment in (BEFORE, WAITING):
        first = (who == "learner") == (moment == BEFORE)
        gate = phases.LEARNER_STARTS if first else phases.PARENT_STARTS
        earlier = notes.count(gate), notes.count(phases.PARENT_BUILT)
        notes.shut(gate)
        begin(halves, what)
        if moment == BEFORE:
            halves.reach(gate, 1 + earlier[0])
        elif who == "learner":
            until(lambda: invited(halves, what), DONE_WITHIN, "the invitation")
        else:
            halves.reach(phases.PARENT_BUILT, 1 + earlier[1])
            time.sleep(SETTLED)
        return
    nth = notes.count(moment) + (1 if moment == CLOSING else SECOND)
    notes.shut(moment, nth)
    begin(halves, what)
    halves.reach(moment, nth)


def invited(halves: Halves, what: str) -> bool:
    """Whether the learner listens."""
    place = "online_relax/parent/invitation.json" if what == "own" else "*/*.invitation"
    return any(halves.directory.glob(place))
