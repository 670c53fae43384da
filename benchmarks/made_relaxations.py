"""Relaxations by the thousand, made up: real ones in shape and size, random in their numbers.

Five methods on each system, 60 atoms of which 40 are fixed. A document of each length is made as a
run makes it; the others are copies with geometries, curves and parent calls of their own, so that
they compress no better than real ones. Positions and forces between start and end, which a report
does not hold, are those of the first one, or left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.constraints import FixAtoms

from finetuna_flows.geometry import Array
from finetuna_flows.reasons import Integrity, QueryReason, StopReason
from finetuna_flows.records import Decision, Label, Relaxation, Step
from finetuna_flows.results.build import build_comparison_doc, build_relaxation_doc
from finetuna_flows.results.document_parts import LedgerEntry, Timings, Trajectory
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
from finetuna_flows.results.portable import to_pymatgen

METHODS = {"VASP CG": 140, "BFGS": 85, "GPMin": 50, "warm-start": 40, "fast": 10}
"""Parent calls at most; the first is the reference."""
REFERENCE = "VASP CG"
LEARNER = "fast"
STEPS_PER_CALL = 10
"""Of the learner, which predicts between its calls."""
FIXED = 40
SEED = 2026


@dataclass(frozen=True)
class Plan:
    """What one of the relaxations is like, before it is made."""

    index: int

    @property
    def uuid(self) -> str:
        """Always the same."""
        return str(UUID(int=self.index + 1))

    @property
    def method(self) -> str:
        """One after the other."""
        return list(METHODS)[self.index % len(METHODS)]

    @property
    def system(self) -> int:
        """Its number."""
        return self.index // len(METHODS)

    @cached_property
    def draw(self) -> Array:
        """Numbers from 0 to 1 that all else comes from, shape (4,)."""
        return np.random.default_rng([SEED, self.index]).uniform(size=4)

    @property
    def calls(self) -> int:
        """Parent calls."""
        return max(3, int(METHODS[self.method] * (0.4 + 0.6 * self.draw[0])))

    @property
    def energy(self) -> float:
        """eV; one in twenty ends elsewhere."""
        scale = 1.0 if self.draw[1] > 0.95 else 0.01
        return -300.0 - self.system % 100 + scale * float(self.draw[2] - 0.5)

    @property
    def timings(self) -> Timings:
        """90 s a label."""
        parts = {"parent": 90.0 * self.calls, "overhead": 0.5 * self.calls}
        learns = self.method == LEARNER
        parts |= {"tuning": 3.0 * self.calls * learns, "prediction": 5.0 * self.calls * learns}
        return Timings(**parts, total=sum(parts.values()))


def start_of(system: int) -> Atoms:
    """An adsorbate of two atoms on 58 of platinum, a little different for each system."""
    atoms: Atoms = fcc111("Pt", (4, 4, 4), vacuum=8.0)[:58]
    add_adsorbate(atoms, "C", 2.0, "ontop")
    add_adsorbate(atoms, "O", 3.1, "ontop")
    atoms.set_tags([0] * FIXED + [1] * 18 + [2] * 2)
    atoms.set_constraint(FixAtoms(range(FIXED)))
    atoms.positions[FIXED:] += np.random.default_rng([SEED, 1, system]).normal(0, 0.1, (20, 3))
    atoms.info["system"] = f"random{1_000_000 + system}"
    return atoms


def made(number: int, *, whole: bool = False) -> Iterator[RelaxationDoc]:
    """So many relaxations, one after the other; only if `whole` with every position and force."""
    bases: dict[tuple[str, int], RelaxationDoc] = {}
    for plan in map(Plan, range(number)):
        key = (plan.method, plan.calls)
        if key not in bases:
            bases[key] = _base(plan, whole=whole)
        yield _varied(bases[key], plan)


def comparisons(number: int) -> list[ComparisonDoc]:
    """What would be said of them, by energies and calls alone."""
    plans = [Plan(index) for index in range(number)]
    systems = [plans[i : i + len(METHODS)] for i in range(0, number, len(METHODS))]
    return [
        build_comparison_doc(
            [_row(plan, members[0]) for plan in members],
            name="made",
            system=start.info["system"],
            reference_method=REFERENCE,
            energy_tolerance=0.02,
            initial_structure=to_pymatgen(start),
        )
        for members in systems
        for start in (start_of(members[0].system),)
    ]


def _row(plan: Plan, reference: Plan) -> ComparisonRow:
    difference = plan.energy - reference.energy
    return ComparisonRow.model_validate(
        {
            "method": plan.method,
            "uuid": plan.uuid,
            "state": "successful",
            "converged": True,
            "parent_calls": plan.calls,
            "parent_calls_ratio": plan.calls / reference.calls,
            "timings": plan.timings,
            "energy": plan.energy,
            "energy_difference": difference,
            "passes_energy_test": difference <= 0.02,
            "strict_success": abs(difference) <= 0.02,
            "same_minimum": abs(difference) <= 0.02,
            "rmsd": 0.01,
            "fmax": 0.02,
        }
    )


def _base(plan: Plan, *, whole: bool) -> RelaxationDoc:
    """One as a run leaves it."""
    start = start_of(plan.system)
    learns = plan.method == LEARNER
    every = STEPS_PER_CALL if learns else 1
    reason = QueryReason.RELAXED if learns else QueryReason.PARENT_DRIVEN
    label = Label(plan.energy, np.zeros((len(start), 3)), scf_cycles=12, wall_time=90.0)
    steps = tuple(
        Step(index, start.positions, Decision((reason,)), label=label)
        for index in range((plan.calls - 1) * every + 1)
    )
    stop = StopReason.CONVERGED
    run = Relaxation(plan.method, "made up", start, steps, stop, 0.03, Integrity.INTACT)
    doc = build_relaxation_doc(run, name=plan.method, spec={"made": "up"}, tags=["benchmark"])
    if whole or not isinstance(doc.trajectory, Trajectory):
        return doc
    bare = doc.trajectory.model_copy(update={"positions": (), "forces": ()})
    return doc.model_copy(update={"trajectory": bare})


def _varied(base: RelaxationDoc, plan: Plan) -> RelaxationDoc:
    """A copy with its own geometries, curve and calls."""
    rng = np.random.default_rng([SEED, 2, plan.index])
    start = start_of(plan.system)
    end = start.copy()
    end.positions[FIXED:] += rng.normal(0, 0.3, (20, 3))
    learns = plan.method == LEARNER
    curve = _curve(base, plan, rng)
    ledger = _ledger(curve, learns=learns, rng=rng)
    scf_cycles = sum(entry.scf_cycles or 0 for entry in ledger)
    return base.model_copy(
        update={
            "uuid": plan.uuid,
            "system": start.info["system"],
            "adsorbate": "CO",
            "initial_structure": to_pymatgen(start),
            "structure": to_pymatgen(end),
            "energy": plan.energy,
            "fmax": curve.fmax[-1],
            "parent_calls": len(ledger),
            "scf_cycles": scf_cycles,
            "timings": plan.timings,
            "trajectory": curve,
            "ledger": ledger,
        }
    )


def _curve(base: RelaxationDoc, plan: Plan, rng: np.random.Generator) -> Trajectory:
    """Energies and forces that decay with noise."""
    trajectory = base.trajectory
    if not isinstance(trajectory, Trajectory):
        raise TypeError(f"the trajectory is {trajectory!r} but must be one")
    n = len(trajectory.energies)
    left = np.exp(-5 * np.arange(n) / n) * rng.uniform(0.7, 1.3, n)
    left[-1] = 0.0
    every = STEPS_PER_CALL if plan.method == LEARNER else 1
    return trajectory.model_copy(
        update={
            "energies": tuple((plan.energy + 3.0 * left).tolist()),
            "fmax": tuple((0.02 + left).tolist()),
            "labelled": tuple(index % every == 0 for index in range(n)),
        }
    )


def _ledger(
    curve: Trajectory, *, learns: bool, rng: np.random.Generator
) -> tuple[LedgerEntry, ...]:
    asked = [step for step, labelled in enumerate(curve.labelled) if labelled]
    reason = QueryReason.RELAXED if learns else QueryReason.PARENT_DRIVEN
    return tuple(
        LedgerEntry(
            index=index,
            step=step,
            reasons=(reason,),
            energy=curve.energies[step],
            free_energy=curve.energies[step] - 0.01,
            fmax=curve.fmax[step],
            scf_cycles=int(rng.integers(8, 30)),
            wall_time=float(rng.uniform(60, 120)),
            replayed=False,
            predicted_energy=curve.energies[step] + rng.normal() if learns else None,
            predicted_fmax=float(rng.uniform(0.01, 0.03)) if learns else None,
            force_error=float(rng.uniform(0.01, 0.5)) if learns else None,
            tuned_force_error=float(rng.uniform(0.0, 0.01)) if learns else None,
        )
        for index, step in enumerate(asked)
    )
