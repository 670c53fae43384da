"""What a local store of many relaxations costs: filling it, finding some, one table of all.

    python benchmarks/store.py --folder DIR                     100 000 relaxations, about 5 GB
    python benchmarks/store.py --folder DIR --documents 10000

Every document is that of one real relaxation, CH3O on a Cu slab of 60 atoms by EMT, as its job left
it, with another uuid, formula, adsorbate, method, energy, time and so on. Trajectories and ledgers
are references, as jobs leave them, but nothing is behind them: nothing asked here may load them.
A smaller store without an index beside it (`--plain` documents) shows what the index is for. DIR is
a folder for temporary files; what is made in it is removed.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import UUID

import bson
from ase.data import chemical_symbols
from jobflow.core.store import JobStore
from maggma.core import Store
from pymatgen.core.composition import Composition

from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.dataframe import relaxations_dataframe
from finetuna_flows.results.find import count_relaxations, relaxation_doc, relaxation_summaries
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.results.store import FILE_NAME, local_job_store
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.slabs import build_slab

METALS = (*chemical_symbols[21:31], *chemical_symbols[39:48], *chemical_symbols[72:80])
ADSORBATES = ("CO", "CH3O", "HO", "H", "O", "N", "CH3", "C2H4", "HN", "CHO2", "H2O", "HO2")
METHODS = ("fast", "chgnet", "no-network", "BFGS", "VASP CG")
BATCH = 500
"""Documents in one update."""
SINGLE = 200
"""Documents that are written one by one."""
NEWEST = 20


def relaxed(folder: Path) -> dict[str, Any]:
    """What a job leaves of one relaxation."""
    slab = build_slab("Cu", n_layers=5, supercell=(3, 4), vacuum=12.0, fixed_layers=2)
    start = add_adsorbate(slab, "CH3O", "ontop")
    maker = ParentRelaxMaker(parent=AseParentSpec("ase.calculators.emt:EMT"), fmax=0.1)
    store = local_job_store(folder / "one")
    for _ in run_in_folders(maker.make(start), store, folder / "runs"):
        doc: dict[str, Any] = next(store.docs_store.query())
    return doc


def variants(doc: dict[str, Any], seed: int = 0) -> Iterator[dict[str, Any]]:
    """Documents like it, a minute after each other."""
    rng = Random(seed)
    number = 0
    while True:
        metals = sorted(rng.sample(METALS, rng.choice((1, 2))))
        adsorbate = rng.choice(ADSORBATES)
        method = rng.choice(METHODS)
        calls = rng.randrange(5, 200)
        converged = rng.random() < 0.9
        time = datetime(2026, 1, 1) + timedelta(minutes=number)
        output = {
            **doc["output"],
            "uuid": str(UUID(int=rng.getrandbits(128), version=4)),
            "formula_pretty": Composition(f"{''.join(metals)}{adsorbate}").reduced_formula,
            "chemsys": "-".join(sorted([*metals, "C", "H", "O"])),
            "elements": sorted([*metals, "C", "H", "O"]),
            "adsorbate": adsorbate,
            "system": f"random{number // len(METHODS)}",
            "name": method,
            "method": method if method in ("BFGS", "VASP CG") else "online",
            "parent_mode": rng.choice(("cold", "restart", "kept")),
            "converged": converged,
            "stop_reason": "converged" if converged else "max_parent_calls",
            "tags": ["generated", f"campaign {number // 1000}"],
            "parent_calls": calls,
            "scf_cycles": 12 * calls,
            "energy": rng.gauss(-300.0, 50.0),
            "fmax": rng.uniform(0.001, 0.05),
            "completed_at": time,
            "last_updated": time,
        }
        yield {**doc, "uuid": str(UUID(int=rng.getrandbits(128), version=4)), "output": output}
        number += 1


def fill(store: Store, made: Iterator[dict[str, Any]], number: int, batch: int) -> float:
    """Documents written a second; making them does not count."""
    seconds = 0.0
    for start in range(0, number, batch):
        docs = list(islice(made, min(batch, number - start)))
        began = perf_counter()
        store.update(docs, key=["uuid", "index"])
        seconds += perf_counter() - began
    return number / seconds


def questions(store: JobStore) -> Iterator[tuple[str, Callable[[], int]]]:
    """What is asked, with how to count what was found."""
    newest = next(relaxation_summaries(store, limit=1))

    def listed(**filters: Any) -> Callable[[], int]:
        return lambda: len(list(relaxation_summaries(store, **filters)))

    yield f"newest {NEWEST}", listed(limit=NEWEST)
    yield "by formula", listed(formula=newest.formula_pretty)
    yield "by chemical system", listed(chemsys=newest.chemsys)
    few = {"adsorbate": "CH3O", "method": "BFGS", "converged": True}
    yield f"by adsorbate, method and success, newest {NEWEST}", listed(**few, limit=NEWEST)
    yield "by adsorbate, method and success, all", listed(**few)
    yield "by tag", listed(tag=newest.tags[-1])
    yield f"lowest {NEWEST} energies of a method", listed(name="fast", sort="energy", limit=NEWEST)
    yield "count of those not converged", lambda: count_relaxations(store, converged=False)
    yield "count of all", lambda: count_relaxations(store)
    yield (
        "one document by the start of its uuid",
        lambda: relaxation_doc(store, newest.uuid[:10]).uuid == newest.uuid,
    )
    yield "DataFrame of all", lambda: len(relaxations_dataframe(store))


def measure(store: JobStore, title: str) -> None:
    """Ask everything once."""
    print(f"\n| {title} | found | s |\n|---|---|---|")
    for words, ask in questions(store):
        began = perf_counter()
        found = ask()
        print(f"| {words} | {found:d} | {perf_counter() - began:.3f} |", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Print a table a store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--plain", type=int, default=5000, help="documents without an index")
    asked = parser.parse_args(words)
    with TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        doc = relaxed(folder)
        print(f"one document: {len(bson.encode(doc)) / 1000:.1f} kB")
        with_index = local_job_store(folder / "indexed")
        without = JobStore(LocalStore(folder / "plain" / FILE_NAME))
        for store, number, title in (
            (with_index, asked.documents, "with its index"),
            (without, asked.plain, "without an index"),
        ):
            store.connect()
            made = variants(doc)
            few = min(SINGLE, number // 2)
            bulk = fill(store.docs_store, made, number - few, BATCH)
            alone = fill(store.docs_store, made, few, 1)
            size = sum(path.stat().st_size for path in folder.glob(f"*/{FILE_NAME}")) / 1e6
            print(
                f"\n{title}: {store.count()} documents, files of {size:.0f} MB; written {BATCH} at "
                f"once {bulk:.0f}/s, then one by one {alone:.0f}/s"
            )
            measure(store, title)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            print(f"\npeak of memory so far: {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
