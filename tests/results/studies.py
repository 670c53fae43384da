"""Small studies to make tables of: oxygen on copper, ended where a test wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finetuna_flows.reasons import Integrity, QueryReason, StopReason
from finetuna_flows.records import Decision, Label, Relaxation, Step
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.document_parts import Timings
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from tests.results.made import slab

BOTTOM = -100.0
"""eV, where every reference ends."""


@dataclass(frozen=True)
class Run:
    """How a relaxation went."""

    calls: int
    shift: float = 0.0
    """eV above `BOTTOM`."""
    away: float = 0.0
    """Å from the reference's end, of the adsorbate."""
    converged: bool = True
    level: str = "EMT"
    scf: int | None = None
    """Cycles a label."""
    seconds: float = 0.0
    """Of the parent; half as long for each of the other parts."""


def relaxation(method: str, run: Run, system: str, index: int) -> RelaxationDoc:
    """A document of one label, that says of itself what `run` does."""
    start = slab()
    start.positions[-1, 0] += 0.01 * index  # a system of its own
    start.info["system"] = system
    end = start.positions.copy()
    end[-1, 2] += run.away
    forces = np.full_like(end, 0.01 if run.converged else 1.0)
    label = Label(BOTTOM + run.shift, forces)
    step = Step(0, end, Decision((QueryReason.PARENT_DRIVEN,)), label=label)
    made = Relaxation(
        method=method,
        level=run.level,
        start=start,
        steps=(step,) if run.calls else (),
        stop_reason=StopReason.CONVERGED if run.converged else StopReason.MAX_STEPS,
        fmax_threshold=0.05,
        integrity=Integrity.INTACT,
    )
    half = run.seconds / 2
    times = Timings(
        parent=run.seconds, tuning=half, prediction=half, overhead=half, total=2.5 * run.seconds
    )
    said = {
        "parent_calls": run.calls,
        "scf_cycles": run.scf * run.calls if run.scf else None,
        "timings": times,
    }
    return build_relaxation_doc(made, name=method, spec={}).model_copy(update=said)


def comparison(
    runs: Mapping[str, Run | None], index: int, reference: str = "CG", system: str | None = None
) -> ComparisonDoc:
    """One system; None where a method ended in an error."""
    called = system or f"s{index:02d}"
    docs = {
        method: relaxation(method, run, called, index) if run else None
        for method, run in runs.items()
    }
    return compare(docs, reference)


def comparisons_of(*systems: Mapping[str, Run | None]) -> list[ComparisonDoc]:
    """One after the other, called s00, s01, …; those that go alike are relaxed once."""
    made: dict[str, ComparisonDoc] = {}
    docs = []
    for index, runs in enumerate(systems):
        if repr(runs) not in made:
            made[repr(runs)] = comparison(runs, index)
        own = {"system": f"s{index:02d}", "system_key": f"key {index}"}
        docs.append(made[repr(runs)].model_copy(update=own))
    return docs


def three_systems() -> list[ComparisonDoc]:
    """A learner that saves calls, once ends elsewhere and once not at all; BFGS lacks a system."""
    return comparisons_of(
        {"CG": Run(101), "BFGS": Run(51, 0.001), "learner": Run(11)},
        {"CG": Run(41), "BFGS": Run(31, 0.03, away=2.0), "learner": Run(5, -0.5, away=2.0)},
        {"CG": Run(201), "BFGS": None, "learner": Run(21, 0.002, converged=False)},
    )
