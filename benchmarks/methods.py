"""Parent calls, seconds per phase and the learner's own overhead, by method, in one run.

    python benchmarks/methods.py                      O and N on Cu, Ni and Pt slabs, by EMT
    python benchmarks/methods.py --data DIR [SID …]   published systems, by fitted potentials

DIR holds `initial_structures.extxyz` (frames named by `info["sid"]`), `fitted_parent.py` with
`FittedParentCalculator(SID)`, and `reference_table.json` with VASP CG's calls. A fitted potential
is a smooth Gaussian process, which favours a Gaussian-process learner somewhat.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from jobflow import JobStore
from maggma.stores import MemoryStore

from finetuna_flows.calculators import load_calculator
from finetuna_flows.cli.words import Words
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.slabs import build_slab

METHODS = "online,warm-start,GPMin,BFGS"


@dataclass(frozen=True)
class System:
    """One structure, its parent, and what VASP CG needed for it."""

    name: str
    atoms: Atoms
    parent: AseParentSpec
    cg_calls: int | None = None

    def off_domain(self, end: Atoms) -> bool:
        """Whether a fitted potential says that it means nothing at the endpoint."""
        calculator = load_calculator(self.parent.calculator, self.parent.arguments)
        end.calc = calculator
        end.get_potential_energy()
        return bool(calculator.results.get("off_domain", False))


def emt_systems() -> Iterator[System]:
    """Atoms beside an fcc hollow of rattled (111) slabs."""
    for metal in ("Cu", "Ni", "Pt"):
        for adsorbate in ("O", "N"):
            slab = build_slab(metal, n_layers=3, supercell=(2, 2), vacuum=12.0, fixed_layers=1)
            atoms = add_adsorbate(slab, adsorbate, "fcc", height=1.3)
            atoms.positions[-1, :2] += (0.3, 0.1)
            yield System(f"{adsorbate}/{metal}", rattle(atoms, 0.05, seed=0), AseParentSpec())


def published_systems(data: Path, sids: list[str]) -> Iterator[System]:
    """The systems asked for, else the first five that have a fitted potential."""
    table = json.loads((data / "reference_table.json").read_text())
    frames = ase.io.read(data / "initial_structures.extxyz", ":")
    by_sid = {str(frame.info["sid"]).removeprefix("random"): frame for frame in frames}
    fitted = [sid for sid in by_sid if (data / "parents" / f"{sid}.npz").exists()]
    target = f"{data.resolve() / 'fitted_parent.py'}:FittedParentCalculator"
    for sid in sids or fitted[:5]:
        parent = AseParentSpec(target, {"sid_or_path": sid})
        yield System(sid, by_sid[sid], parent, table[sid]["VASP_CG"]["dft_calls"])


def relaxations(
    system: System, words: Words, methods: list[str], folder: Path
) -> Iterator[tuple[str, RelaxationDoc]]:
    """One document a method, and a line of progress on standard error."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    store.connect()
    for maker in words.makers(methods):
        if not isinstance(maker, RelaxMaker):
            raise TypeError(f"method {maker.name} asks no parent but must ask the system's own")
        maker.parent = system.parent
        ((_, response),) = run_in_folders(maker.make(system.atoms), store, folder)
        if isinstance(response, Exception):
            print(f"| {system.name} | {maker.name} | {response} |", flush=True)
        else:
            calls = response.output.parent_calls
            print(f"{system.name} {maker.name}: {calls} calls", file=sys.stderr, flush=True)
            yield maker.name, response.output


def main() -> None:
    """Print a row a relaxation and a mean for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--methods", default=METHODS, help="BFGS must be among them")
    parser.add_argument("--surrogate", default="chgnet")
    parser.add_argument("--tuner", default="gp")
    parser.add_argument("--tuner-args", help='as in {"gp": {"length": 0.8}}')
    parser.add_argument("--criterion")
    parser.add_argument("--max-calls", type=int, default=200)
    parser.add_argument("sids", nargs="*")
    asked = parser.parse_args()
    words = Words(
        surrogate=asked.surrogate,
        tuner=asked.tuner,
        tuner_args=asked.tuner_args,
        parent="emt",
        criterion=asked.criterion,
        limits=Limits(max_steps=3000, max_parent_calls=asked.max_calls),
    )
    systems = published_systems(asked.data, asked.sids) if asked.data else emt_systems()
    print(
        "| system | method | converged | calls | % of CG | % of BFGS | ΔE/meV to BFGS | tuning/s | "
        "prediction/s | parent/s | own overhead, ms/step | adsorbate |\n" + "|---" * 12 + "|",
        flush=True,
    )
    ratios: dict[str, list[float]] = {}
    for system in systems:
        with tempfile.TemporaryDirectory() as folder:
            docs = dict(relaxations(system, words, asked.methods.split(","), Path(folder)))
        bfgs = docs["BFGS"]
        for method, doc in docs.items():
            ratio = doc.parent_calls / bfgs.parent_calls
            ratios.setdefault(method, []).append(ratio)
            verdict = doc.integrity.value
            if system.off_domain(to_ase(doc.structure)):
                verdict += ", off domain"
            cg = f"{doc.parent_calls / system.cg_calls:.1%}" if system.cg_calls else "-"
            difference = 1e3 * ((doc.energy or np.nan) - (bfgs.energy or np.nan))
            print(
                f"| {system.name} | {method} | {doc.converged} | {doc.parent_calls} | {cg} | "
                f"{ratio:.0%} | {difference:+.1f} | {doc.timings.tuning:.2f} | "
                f"{doc.timings.prediction:.2f} | {doc.timings.parent:.2f} | "
                f"{1e3 * doc.timings.overhead / doc.n_steps:.2f} | {verdict} |",
                flush=True,
            )
    for method, values in ratios.items():
        print(f"\n{method}: mean {np.mean(values):.1%} of BFGS's calls over {len(values)} systems")


if __name__ == "__main__":
    main()
