"""Hundreds of runs, each disturbed by chance: none loses a label, hangs, or leaves a process."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.colocation.moments import MOMENTS
from tests.colocation.nurseries import Nursery
from tests.colocation.schedules import KINDS, VICTIMS, Schedule

COUNT = int(os.environ.get("FAULT_COUNT", "200"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
AT_ONCE = 4
"""Most of a schedule is waiting."""
ENOUGH = 100
"""Schedules among which every kind of fault and every phase must be."""


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_disturbed_runs_come_to_the_undisturbed_end(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path_factory.mktemp("s")
    started = time.monotonic()
    hits: Counter[tuple[str, str, str]] = Counter()
    problems = []
    with Nursery(root) as nursery, ThreadPoolExecutor(AT_ONCE) as players:
        schedules = [
            Schedule(seed, nursery, root / str(seed)) for seed in range(SEED, SEED + COUNT)
        ]
        for each, played in [(each, players.submit(each.play)) for each in schedules]:
            problem = played.exception()
            if problem is not None:
                problems.append(f"FAULT_SEED={each.seed} FAULT_COUNT=1: {problem!r:.4000}")
            hits += each.hits
    with capsys.disabled():
        sys.stdout.write(
            f"\n{COUNT} schedules from seed {SEED} in {time.monotonic() - started:.0f} s, "
            f"{len(problems)} failed; hits: {counted(hits, 0)}; {counted(hits, 1)}; "
            f"{counted(hits, 2)}\n{counted(hits, 0, 2)}\n"
        )
    assert not problems, "\n\n".join(problems)
    if COUNT >= ENOUGH:
        assert {kind for kind, _, _ in hits} == set(KINDS)
        assert {victim for _, victim, _ in hits} >= set(VICTIMS)
        assert {phase for _, _, phase in hits} == set(MOMENTS)


def counted(hits: Counter[tuple[str, str, str]], *columns: int) -> str:
    """How many there are of each, in some of kind, victim and phase."""
    found: Counter[str] = Counter()
    for key, number in hits.items():
        found[" ".join(key[column] for column in columns)] += number
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items()))
