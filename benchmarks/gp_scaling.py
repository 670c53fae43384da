"""Time and memory of the residual process as labels come in, one by one and from scratch.

    python benchmarks/gp_scaling.py [--labels 50] [--size 8]

O on Cu(111), two of five layers free, labelled by EMT; the prior is the repulsion of nuclei.
"""

from __future__ import annotations

import argparse
import resource
import time

from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.records import Frame
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import NuclearSpec

SHOWN = (1, 2, 5, 10, 20, 30, 40, 50)


def main() -> None:
    """Print a row for some of the labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--size", type=int, default=8, help="atoms along each side of a layer")
    asked = parser.parse_args()
    slab = build_slab(
        "Cu", n_layers=5, supercell=(asked.size, asked.size), vacuum=10.0, fixed_layers=3
    )
    atoms = add_adsorbate(slab, "O", "fcc", height=1.0)
    surrogate = CompositeSurrogate(NuclearSpec().build())
    tuner = ResidualGPSpec().build(surrogate)
    print(f"{atoms.symbols}, {len(atoms)} atoms\n")
    print("| labels | one more/s | from scratch/s | prediction/s | peak memory/GB |")
    print("|---|---|---|---|---|")
    frames: list[Frame] = []
    with AseParentSpec("ase.calculators.emt:EMT").build() as parent:
        for count in range(1, asked.labels + 1):
            moved = rattle(atoms, 0.08, seed=count)
            frames.append(Frame(moved, parent.label(moved)))
            began = time.perf_counter()
            tuner.update(frames)
            grown = time.perf_counter() - began
            if count not in SHOWN:
                continue
            began = time.perf_counter()
            surrogate.predict(moved)
            predicted = time.perf_counter() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            scratch = _from_scratch(frames) if count <= SHOWN[4] else float("nan")
            row = f"| {count} | {grown:.2f} | {scratch:.2f} | {predicted:.2f} | {peak:.2f} |"
            print(row, flush=True)


def _from_scratch(frames: list[Frame]) -> float:
    surrogate = CompositeSurrogate(NuclearSpec().build())
    tuner = ResidualGPSpec().build(surrogate)
    began = time.perf_counter()
    tuner.update(frames)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
