"""How far the stated uncertainty of forces can be trusted, query by query.

    python benchmarks/calibration.py                      O and N on Cu, Ni and Pt slabs, by EMT
    python benchmarks/calibration.py --data DIR [SID …]   the DFT labels published with FINETUNA

The labels of a relaxation are taken in the order in which they were asked for. After 1, 2, 3, 5
and 8 of them the learner predicts the next ones: standard deviation against actual error.

DIR holds `frames.extxyz.gz`, labelled frames with `sid` and `method` in their info. Without it
the labels are those of online relaxations of the default preset.

The suggested threshold of a criterion is the spread that parts the queries that went wrong from
the others with the fewest mistakes: above it most predictions are wrong, below it most are right.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from jobflow import JobStore
from maggma.stores import MemoryStore
from scipy.stats import spearmanr

from finetuna_flows.cli.parse import parse_surrogate
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import Spec, Surrogate, TunerSpec
from finetuna_flows.records import Frame, Label, Prediction
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import EnsembleSpec

Learner = tuple[Spec[Surrogate], TunerSpec]

COUNTS = (1, 2, 3, 5, 8)
AHEAD = 3
"""Labels that are predicted after each count."""
TOLERANCES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""eV/Å; errors of the worst atom beyond which a prediction counts as wrong."""

LEARNERS: dict[str, Callable[[Spec[Surrogate]], Learner]] = {
    "gp": lambda prior: (prior, ResidualGPSpec()),
    "curvature+gp": lambda prior: (prior, StackSpec((CurvatureSpec(), ResidualGPSpec()))),
    "ensemble": lambda prior: (
        EnsembleSpec.of_heads(prior),
        EnsembleTunerSpec((GradientSpec(),)),
    ),
}


@dataclass(frozen=True)
class Query:
    """One prediction beside the label that was asked for; forces in eV/Å, free components."""

    system: str
    labels: int
    """That the learner had seen."""
    rms_std: float
    rms_error: float
    worst_std: float
    """Length of the standard deviation on the worst atom: what the criteria go by."""
    worst_error: float
    predicted_fmax: float
    within: tuple[float, float]
    """Fractions of the components whose error is below one and two standard deviations."""

    @classmethod
    def compare(cls, system: str, labels: int, said: Prediction, frame: Frame) -> Query:
        """Put both beside each other.

        Raises
        ------
        ValueError
            If the learner knows no uncertainty.
        """
        if said.forces_std is None:
            raise ValueError(f"{system}: no uncertainty of forces after {labels} label(s)")
        free = free_components(frame.atoms)
        errors = said.forces - frame.label.forces
        scaled = np.abs(errors[free]) / said.forces_std[free]
        return cls(
            system,
            labels,
            rms_std=float(np.sqrt(np.mean(said.forces_std[free] ** 2))),
            rms_error=float(np.sqrt(np.mean(errors[free] ** 2))),
            worst_std=fmax(said.forces_std, free),
            worst_error=fmax(errors, free),
            predicted_fmax=fmax(said.forces, free),
            within=(float(np.mean(scaled < 1)), float(np.mean(scaled < 2))),
        )


def published_labels(data: Path, sids: Sequence[str], method: str) -> Iterator[tuple[str, Atoms]]:
    """Frames of a method by system, in order; text is cut before it is parsed, which is slow."""
    with gzip.open(data / "frames.extxyz.gz", "rt") as file:
        lines = file.read().splitlines()
    at = 0
    while at < len(lines):
        end = at + int(lines[at]) + 2
        info = dict(word.split("=", 1) for word in lines[at + 1].split() if "=" in word)
        sid = info["sid"].removeprefix("random")
        if info["method"] == method and (not sids or sid in sids):
            text = "\n".join(lines[at:end]) + "\n"
            atoms = ase.io.read(io.StringIO(text), format="extxyz")
            assert isinstance(atoms, Atoms)  # one frame, no list
            yield sid, atoms
        at = end


def emt_labels(surrogate: Spec[Surrogate]) -> Iterator[tuple[str, Atoms]]:
    """Labels of online relaxations of atoms beside an fcc hollow of rattled (111) slabs."""
    maker = OnlineRelaxMaker(surrogate=surrogate, parent=AseParentSpec())
    for metal in ("Cu", "Ni", "Pt"):
        for adsorbate in ("O", "N"):
            slab = build_slab(metal, n_layers=3, supercell=(2, 2), vacuum=12.0, fixed_layers=1)
            atoms = add_adsorbate(slab, adsorbate, "fcc", height=1.3)
            atoms.positions[-1, :2] += (0.3, 0.1)
            job = maker.make(rattle(atoms, 0.05, seed=0))
            store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
            store.connect()
            with tempfile.TemporaryDirectory() as folder:
                ((_, response),) = run_in_folders(job, store, Path(folder))
                if isinstance(response, Exception):
                    raise response
                (path,) = Path(folder).rglob("labels.extxyz")
                for frame in ase.io.read(path, ":"):
                    yield f"{adsorbate}/{metal}", frame


def by_system(labelled: Iterator[tuple[str, Atoms]]) -> dict[str, list[Frame]]:
    """Frames as a tuner wants them."""
    frames: dict[str, list[Frame]] = {}
    for name, atoms in labelled:
        energy = atoms.get_potential_energy()
        free_energy = atoms.info.get("free_energy_vasp")
        label = Label(energy, atoms.get_forces(apply_constraint=False), free_energy)
        atoms.calc = None
        frames.setdefault(name, []).append(Frame(atoms, label))
    return frames


def queries(name: str, frames: Sequence[Frame], learner: Learner) -> Iterator[Query]:
    """Learn label by label, as a relaxation does, and look ahead after some of them."""
    surrogate = CompositeSurrogate(learner[0].build())
    tuner = learner[1].build(surrogate)
    for count in range(1, min(max(COUNTS), len(frames) - 1) + 1):
        tuner.update(frames[:count])
        if count in COUNTS:
            for frame in frames[count : count + AHEAD]:
                yield Query.compare(name, count, surrogate.predict(frame.atoms), frame)


def reliability(asked: Sequence[Query]) -> str:
    """A row's numbers; in brackets in the header: what they are if all is well."""
    rms_std, rms_error, worst_std, worst_error = (
        np.array([getattr(query, name) for query in asked])
        for name in ("rms_std", "rms_error", "worst_std", "worst_error")
    )
    ratio = np.sqrt(np.mean(rms_error**2) / np.mean(rms_std**2))
    within = np.mean([query.within for query in asked], axis=0)
    worst = worst_error / worst_std
    return (
        f"{len(asked)} | {np.sqrt(np.mean(rms_error**2)):.3f} | "
        f"{spearmanr(rms_std, rms_error).statistic:.2f} | "
        f"{spearmanr(worst_std, worst_error).statistic:.2f} | {ratio:.2f} | "
        f"{within[0]:.0%} | {within[1]:.0%} | {np.median(worst):.2f} | {np.mean(worst > 2):.0%} |"
    )


HEADER = (
    "labels | queries | rms error, eV/Å | rank correlation of rms (1) | of the worst atom (1) | "
    "rms error / rms std (1) | within 1 σ (68 %) | 2 σ (95 %) | worst atom's error / std, median | "
    "beyond 2 |"
)


def threshold(spreads: Sequence[float], wrong: Sequence[bool]) -> tuple[float, int]:
    """The spread that parts wrong from right with the fewest mistakes, and how many they are.

    Ties are broken towards the smaller spread, which asks more often. Zero or infinity where one
    side is empty: asking always, or never, is then as good.
    """
    order = np.argsort(spreads)
    sorted_spreads, sorted_wrong = np.array(spreads)[order], np.array(wrong)[order]
    missed = np.concatenate([[0], np.cumsum(sorted_wrong)])  # wrong at or below the cut
    needless = np.sum(~sorted_wrong) - np.concatenate([[0], np.cumsum(~sorted_wrong)])
    best = int(np.argmin(missed + needless))
    bounds = np.concatenate([[0.0], sorted_spreads, [np.inf]])
    return float(np.sqrt(bounds[best] * bounds[best + 1])), int((missed + needless)[best])


def suggestions(asked: Sequence[Query]) -> Iterator[str]:
    """Rows of thresholds for the two criteria."""
    spreads = [query.worst_std for query in asked]
    for tolerance in TOLERANCES:
        wrong = [query.worst_error > tolerance for query in asked]
        yield _suggestion(f"static | error > {tolerance} eV/Å", spreads, wrong)
    fractions = [query.worst_std / query.predicted_fmax for query in asked]
    for part in (0.5, 1.0):
        wrong = [query.worst_error > part * query.predicted_fmax for query in asked]
        yield _suggestion(f"dynamic | error > {part} × predicted fmax", fractions, wrong)


def _suggestion(name: str, spreads: Sequence[float], wrong: Sequence[bool]) -> str:
    cut, mistakes = threshold(spreads, wrong)
    return f"| {name} | {np.mean(wrong):.0%} | {cut:.3g} | {mistakes / len(wrong):.0%} |"


def main() -> None:
    """Print a table a learner."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--method", default="K_steps", help="whose published labels")
    parser.add_argument("--surrogate", default="chgnet")
    parser.add_argument("--learners", default="gp,curvature+gp", help=", ".join(LEARNERS))
    parser.add_argument("--out", type=Path, help="every query as a line of JSON")
    parser.add_argument("sids", nargs="*")
    asked = parser.parse_args()
    prior = parse_surrogate(asked.surrogate, None)
    labels = (
        published_labels(asked.data, asked.sids, asked.method) if asked.data else emt_labels(prior)
    )
    frames = by_system(labels)
    for name in asked.learners.split(","):
        learner = LEARNERS[name](prior)
        found = [query for sid in frames for query in queries(sid, frames[sid], learner)]
        if not found:
            raise SystemExit("no system has the 2 labels that a prediction and its test need")
        if asked.out:
            with asked.out.open("a") as file:
                file.writelines(json.dumps({"learner": name} | asdict(q)) + "\n" for q in found)
        print(f"\n## {name} on {asked.surrogate}, {len(frames)} systems\n\n| {HEADER}")
        print("|---" * 10 + "|")
        for count in sorted({query.labels for query in found}):
            print(f"| {count} | {reliability([q for q in found if q.labels == count])}")
        print(f"| all | {reliability(found)}\n")
        print("| criterion | wrong | queries that are | suggested threshold | mistakes |")
        print("|---" * 5 + "|")
        print("\n".join(suggestions(found)), flush=True)


if __name__ == "__main__":
    main()
