"""Processor seconds of an ensemble of output heads: by a common backbone, and one by one.

    python benchmarks/ensemble_cost.py                        four heads of CHGNet
    python benchmarks/ensemble_cost.py --checkpoint FILE      four heads of a model of fairchem's

O on a rattled Cu(111) slab of 3 x 3 x 4 atoms, two layers fixed, labelled by EMT. Timed are one
prediction, and one update of an EnsembleTunerSpec of GradientSpec by one label; one by one that is
each member's own tuner, and each member's prediction where the ensemble's update has one. Both ways
take turns in one process; the least of the repetitions counts, in processor seconds, which a busy
machine stretches less than the clock's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from finetuna_flows.finetuning.specs import EnsembleTunerSpec, GradientSpec
from finetuna_flows.geometry import Array, free_components
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.ensemble import EnsembleSurrogate
from finetuna_flows.surrogates.specs import CHGNetSpec, FairchemSpec, PerturbedHeadSpec

NEXT = 0.03  # Å, standard deviation of the geometry after the label, where forces are compared


def labelled() -> Frame:
    """Oxygen in a hollow of the slab, with its label."""
    atoms = fcc111("Cu", (3, 3, 4), vacuum=10.0)
    add_adsorbate(atoms, "O", 1.2, "fcc")
    atoms.rattle(0.05, seed=0)
    asked = atoms.copy()
    asked.calc = EMT()
    label = Label(asked.get_potential_energy(), asked.get_forces())
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() > 2))
    return Frame(atoms, label)


def members(base: Spec[Surrogate], count: int) -> EnsembleSurrogate:
    """An ensemble of heads that have not learned yet."""
    return EnsembleSurrogate([PerturbedHeadSpec(base, seed).build() for seed in range(count)])


def one_by_one(ensemble: EnsembleSurrogate, atoms: Atoms) -> Array:
    """Forces of the members, in eV/Å, shape (members, n, 3)."""
    return np.array([member.predict(atoms).forces for member in ensemble.members])


def tune_together(ensemble: EnsembleSurrogate, recipe: GradientSpec, frame: Frame) -> None:
    EnsembleTunerSpec((recipe,)).build(CompositeSurrogate(ensemble)).update([frame])


def tune_one_by_one(ensemble: EnsembleSurrogate, recipe: GradientSpec, frame: Frame) -> None:
    one_by_one(ensemble, frame.atoms)  # the report's error before
    for member in ensemble.members:
        recipe.build(member).update([frame])
    one_by_one(ensemble, frame.atoms)  # where the energies are to agree
    one_by_one(ensemble, frame.atoms)  # the report's error after


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="of fairchem's, for the task oc20")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=400)
    asked = parser.parse_args()
    base = FairchemSpec(asked.checkpoint, "oc20") if asked.checkpoint else CHGNetSpec()
    recipe = GradientSpec(epochs=asked.epochs, min_learning_rate=0.0)  # no early end
    frame = labelled()
    n_free = free_components(frame.atoms).sum()
    print(f"{asked.heads} heads of {base}; {len(frame.atoms)} atoms, {n_free} free components\n")

    together, alone = members(base, asked.heads), members(base, asked.heads)
    one_by_one(together, frame.atoms)  # what only the first call costs
    print("| work | one by one, CPU s | together, CPU s | ratio |\n" + "|---" * 4 + "|")
    compare(
        "prediction",
        lambda: one_by_one(alone, frame.atoms),
        lambda: together.predict(frame.atoms),
        repetitions=10,
    )
    compare(
        f"update by one label, {asked.epochs} epochs",
        lambda: tune_one_by_one(alone, recipe, frame),
        lambda: tune_together(together, recipe, frame),
        repetitions=2,
    )
    after = frame.atoms.copy()
    after.rattle(NEXT, seed=1)  # keeps constraints
    said, forces = together.predict(after), one_by_one(alone, after)
    spread = np.std(forces, axis=0, ddof=1)
    print(
        f"\nafter the update, {NEXT} Å away, both ways differ by at most "
        f"{np.abs(said.forces - forces.mean(axis=0)).max():.1e} eV/Å in the forces and "
        f"{np.abs(said.forces_std - spread).max():.1e} eV/Å in their spread, "
        f"which is {np.sqrt(np.mean(spread**2)):.1e} eV/Å (rms)"
    )


def compare(
    work: str, alone: Callable[[], object], together: Callable[[], object], *, repetitions: int
) -> None:
    """Print a row; both ways take turns."""
    taken = [(seconds(alone), seconds(together)) for _ in range(repetitions)]
    slow, fast = np.min(taken, axis=0)
    print(f"| {work} | {slow:.3f} | {fast:.3f} | {slow / fast:.2f} |", flush=True)


def seconds(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return process_time() - began


if __name__ == "__main__":
    main()
