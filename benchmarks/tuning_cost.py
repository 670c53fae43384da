"""Processor seconds that a tuner takes for one label, on the whole model or on its head alone.

    python benchmarks/tuning_cost.py                      O on a Cu slab, labelled by EMT
    python benchmarks/tuning_cost.py --data DIR [SID …]   published systems, by fitted potentials

DIR is laid out as for `benchmarks/methods.py`. The naive way is timed over a few epochs and
extrapolated, unless `--full` lets it run to its end; then the forces that both ways leave are
compared, and else those after the same few epochs. All runs of one structure follow each other in
one process; a whole update is timed, the predictions for its report included, in processor
seconds, which a busy machine stretches less than the clock's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import ase.io
import numpy as np
from ase import Atoms

from finetuna_flows.calculators import load_calculator
from finetuna_flows.finetuning.specs import GradientSpec, LastLayerSpec, ResidualGPSpec
from finetuna_flows.geometry import Array, free_components
from finetuna_flows.protocols import TunerSpec
from finetuna_flows.records import FitReport, Frame, Label
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import CHGNetSpec

EMT = "ase.calculators.emt:EMT"
NEXT = 0.03  # Å, standard deviation of the geometry after the label, where forces are compared


@dataclass(frozen=True)
class Update:
    """One label learned by a fresh surrogate."""

    report: FitReport
    seconds: float
    prediction: float
    """Seconds for one prediction afterwards."""
    forces: Array
    """eV/Å, shape (d,), at another geometry afterwards."""


def slab() -> Atoms:
    """Oxygen beside its site on a rattled Cu(111) slab, one layer fixed."""
    atoms = build_slab("Cu", n_layers=4, supercell=(3, 3), vacuum=12.0, fixed_layers=2)
    return rattle(add_adsorbate(atoms, "O", "fcc", height=1.3), 0.05, seed=0)


def labelled(data: Path | None, sids: list[str]) -> Iterator[tuple[str, Frame]]:
    """Each structure with its first label."""
    if data is None:
        yield "O/Cu(111)", label(slab(), EMT, {})
        return
    frames = ase.io.read(data / "initial_structures.extxyz", ":")
    by_sid = {str(frame.info["sid"]).removeprefix("random"): frame for frame in frames}
    fitted = [sid for sid in by_sid if (data / "parents" / f"{sid}.npz").exists()]
    target = f"{data.resolve() / 'fitted_parent.py'}:FittedParentCalculator"
    for sid in sids or fitted[:2]:
        yield sid, label(by_sid[sid], target, {"sid_or_path": sid})


def label(atoms: Atoms, target: str, arguments: dict[str, object]) -> Frame:
    """Ask a calculator for raw forces."""
    asked = atoms.copy()
    asked.set_constraint()
    asked.calc = load_calculator(target, arguments)
    bare = atoms.copy()
    bare.calc = None
    return Frame(bare, Label(asked.get_potential_energy(), asked.get_forces()))


def update(spec: TunerSpec, frame: Frame) -> Update:
    """Learn the label, then predict a geometry beside it."""
    surrogate = CompositeSurrogate(CHGNetSpec().build())
    surrogate.predict(frame.atoms)  # what only the first call costs
    tuner = spec.build(surrogate)
    began = process_time()
    report = tuner.update([frame])
    ended = process_time()
    after = frame.atoms.copy()
    after.rattle(NEXT, seed=1)  # keeps constraints
    surrogate.predict(after)
    again = process_time()
    forces = surrogate.predict(after).forces
    return Update(
        report, ended - began, process_time() - again, forces[free_components(frame.atoms)]
    )


def main() -> None:
    """Print a table a structure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--timed", type=int, default=20, help="naive epochs to extrapolate from")
    parser.add_argument("--full", action="store_true", help="run all naive epochs")
    parser.add_argument("sids", nargs="*")
    asked = parser.parse_args()
    recipe = GradientSpec(epochs=asked.epochs, min_learning_rate=0.0)  # no early end
    few = replace(recipe, epochs=asked.epochs if asked.full else asked.timed)
    for name, frame in labelled(asked.data, asked.sids):
        free = free_components(frame.atoms)
        print(f"\n{name}: {len(frame.atoms)} atoms, {free.sum()} free components\n")
        print(
            "| way | CPU s per label | of naive | force error, eV/Å | prediction, CPU s |\n"
            + "|---" * 5
            + "|"
        )
        naive = update(replace(few, cached=False), frame)
        cached = update(recipe, frame)
        short = cached if asked.full else update(few, frame)
        one = update(replace(recipe, epochs=1, cached=False), frame)
        seconds, words = naive.seconds, f"naive, {asked.epochs} epochs"
        if not asked.full:
            each = (naive.seconds - one.seconds) / (asked.timed - 1)
            seconds = one.seconds + each * (asked.epochs - 1)
            words += f" (extrapolated from {asked.timed})"
        before = one.report.force_rmse_before
        rows = {
            f"cached, {asked.epochs} epochs": cached,
            "last layer, closed form": update(LastLayerSpec(), frame),
            "GP on the residual": update(ResidualGPSpec(), frame),
        }
        error = f"{before:.3f} → {naive.report.force_rmse_after:.3f}" if asked.full else "-"
        print(f"| {words} | {seconds:.2f} | 1 | {error} | {naive.prediction:.3f} |")
        for way, row in rows.items():
            print(
                f"| {way} | {row.seconds:.2f} | 1/{seconds / row.seconds:.1f} | {before:.3f} → "
                f"{row.report.force_rmse_after:.3f} | {row.prediction:.3f} |"
            )
        deviation = np.abs(short.forces - naive.forces).max()
        print(
            f"\nlargest difference of free forces between naive and cached after {few.epochs} "
            f"epochs, at a geometry {NEXT} Å away: {deviation:.1e} eV/Å",
            flush=True,
        )


if __name__ == "__main__":
    main()
