"""Relaxations to make documents of: EMT as the parent, ASE's BFGS as the optimizer."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS

from finetuna_flows.geometry import fmax, free_components, moved
from finetuna_flows.parents.specs import Continuation, EmbeddedParentSpec
from finetuna_flows.queries import AnyOf, EveryK, FirstN
from finetuna_flows.reasons import Integrity, QueryReason, StopReason
from finetuna_flows.records import Decision, FitReport, Label, Prediction, Relaxation, Step

SPEC = {
    "criterion": AnyOf((FirstN(), EveryK(5))).as_dict(),
    "parent": EmbeddedParentSpec(engine="gpaw", continuation=Continuation.RESTART).as_dict(),
}


def slab() -> Atoms:
    """Oxygen near a hollow of copper, tagged and with its lower layer fixed."""
    atoms: Atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    atoms.set_tags([0] * 4 + [1] * 4)
    add_adsorbate(atoms, "O", 1.4, "fcc", offset=(0, 0))
    atoms.set_tags([*atoms.get_tags()[:-1], 2])
    atoms.set_constraint(FixAtoms(range(4)))
    atoms.rattle(0.03, seed=1)
    return atoms


def water() -> Atoms:
    """A molecule without a cell; its oxygen cannot move."""
    atoms: Atoms = molecule("H2O")
    atoms.set_constraint(FixAtoms([0]))
    atoms.rattle(0.05, seed=2)
    return atoms


def by_bfgs(
    start: Atoms, *, method: str = "BFGS", threshold: float = 0.05, steps: int = 100
) -> Relaxation:
    """Every geometry is labelled."""
    free = free_components(start)
    atoms = start.copy()
    atoms.calc = EMT()
    made: list[Step] = []

    def record() -> None:
        label = Label(
            energy=atoms.get_potential_energy(),
            forces=atoms.get_forces(apply_constraint=False),
            free_energy=atoms.get_potential_energy() - 0.01,
            scf_cycles=10,
            wall_time=2.0,
        )
        decision = Decision((QueryReason.PARENT_DRIVEN,))
        positions = atoms.positions.copy()
        made.append(Step(len(made), positions, decision, label=label, wall_time=2.5))

    with BFGS(atoms, logfile=None) as optimizer:
        optimizer.attach(record)
        optimizer.run(fmax=threshold, steps=steps)
    converged = fmax(made[-1].forces, free) <= threshold
    return Relaxation(
        method=method,
        level="EMT",
        start=start,
        steps=tuple(made),
        stop_reason=StopReason.CONVERGED if converged else StopReason.MAX_STEPS,
        fmax_threshold=threshold,
        integrity=Integrity.INTACT,
    )


def asking_seldom(start: Atoms, *, every: int = 5, threshold: float = 0.05) -> Relaxation:
    """The same way, where all but the first, every k-th and the last label are predictions."""
    full = by_bfgs(start, threshold=threshold)
    last = full.steps[-1].index
    kept = []
    for step in full.steps:
        said = Prediction(step.energy + 0.1, 1.1 * step.forces, 0.2, np.full_like(step.forces, 0.3))
        asked = step.index % every == 0 or step.index == last
        reasons = (
            (QueryReason.FIRST, QueryReason.EVERY_K)
            if step.index == 0
            else (QueryReason.EVERY_K,)
            if asked
            else ()
        )
        kept.append(
            Step(
                index=step.index,
                positions=step.positions,
                decision=Decision(reasons),
                prediction=said,
                label=step.label if asked else None,
                fit=FitReport("test", 1, 0.2, 0.1, wall_time=0.3) if asked else None,
                prediction_time=0.05,
                wall_time=2.4 if asked else 0.06,
                replayed=step.index == 0,
            )
        )
    return Relaxation(
        method="online",
        level=full.level,
        start=start,
        steps=tuple(kept),
        stop_reason=full.stop_reason,
        fmax_threshold=threshold,
        integrity=Integrity.INTACT,
    )


def never_answered(start: Atoms) -> Relaxation:
    """The surrogate predicted once, and the time was over."""
    said = Prediction(0.0, np.ones((len(start), 3)))
    step = Step(0, start.positions, Decision(), said)
    reason = StopReason.MAX_WALL_TIME
    return Relaxation("online", "EMT", start, (step,), reason, 0.03, Integrity.INTACT)


def shaken(n_atoms: int, n_steps: int) -> Relaxation:
    """A long run of a large structure, of random numbers."""
    rng = np.random.default_rng(0)
    start = Atoms(f"Cu{n_atoms}", rng.uniform(0, 30, (n_atoms, 3)), cell=[30.0] * 3, pbc=True)
    reasons = Decision((QueryReason.PARENT_DRIVEN,))
    steps = tuple(
        Step(
            index,
            moved(start, start.positions + rng.normal(size=(n_atoms, 3))).positions,
            reasons,
            label=Label(float(rng.normal()), rng.normal(size=(n_atoms, 3))),
        )
        for index in range(n_steps)
    )
    reason = StopReason.MAX_STEPS
    return Relaxation("BFGS", "random numbers", start, steps, reason, 0.03, Integrity.NO_ADSORBATE)
