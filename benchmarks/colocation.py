"""What it costs to have the parent in another process, and what pausing saves.

    python benchmarks/colocation.py [--quick] [--pollers 2] [--label-time 0.5]

Prints, from one run: the time of a label besides the parent's own, by UNIX socket and by TCP, and
where it goes; seconds until a parent's process answers and until it has ended; one relaxation with
the parent in the learner's process, in its own and in a twin job, beside ranks that poll; and the
share of tuning with the default and with the paper's recipe. The parents are in
`benchmarks/busy_parents.py`: a label takes as many seconds of the clock whatever else runs, so
that only the learner's part differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ase import Atoms
from jobflow import Flow, Job, JobStore
from maggma.stores import MemoryStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.round_trips import print_round_trips
from benchmarks.tuning_cost import EMT, label, slab, update
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.rendezvous import FileRendezvous
from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.flows.colocated import ColocatedRelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.presets import preset
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.specs import ToySpec
from tests.systems import oxygen_on_copper

BUSY = Path(__file__).with_name("busy_parents.py")
POLLING = Path(__file__).with_name("polling_ranks.py")
SAME = Placement(process="same")
PAPER = {"CPU": 0.489, "GPU": 0.055}
"""Share of its wall time that the FINETUNA paper's learner tunes."""
TIMED = 10
"""Naive epochs to extrapolate from."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="toy models and few labels")
    parser.add_argument("--pollers", type=int, default=2, help="ranks that poll, besides rank 0")
    parser.add_argument("--label-time", type=float, help="s; 0.5, quick: 0.05")
    parser.add_argument("--rounds", type=int, help="of the relaxations; 2, quick: 1")
    parser.add_argument("--services", type=int, help="for each kind of round trip; 8, quick: 1")
    parser.add_argument("--disk", type=Path, help="folder on it; where temporary files are")
    given = parser.parse_args(arguments)
    print(f"processors: {os.cpu_count()}; load before: {os.getloadavg()[0]:.1f}")
    services = given.services or (1 if given.quick else 8)
    print_round_trips(services, given.disk, count=40 if given.quick else 200)
    seconds = given.label_time or (0.05 if given.quick else 0.5)
    rounds = given.rounds or (1 if given.quick else 2)
    print_relaxations(given.pollers, seconds, rounds, quick=given.quick)
    print_shares(quick=given.quick)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


def print_relaxations(pollers: int, seconds: float, rounds: int, *, quick: bool) -> None:
    """The same relaxation, wherever its parent is."""
    maker = OnlineRelaxMaker(
        parent=AseParentSpec(f"{BUSY}:Busy", {"seconds": seconds}), placement=SAME, fmax=0.01
    )
    if quick:
        maker = replace(maker, surrogate=ToySpec(), fmax=0.3)
    run(replace(maker, limits=Limits(max_parent_calls=1)))  # what only the first run costs
    found: dict[str, list[tuple[float, RelaxationDoc]]] = {}
    ways = list(placements(pollers).items())[: -1 if quick else None]
    for _ in range(rounds):  # in turn, so that what else the machine does hits all alike
        for name, (placement, twins) in ways:
            placed = replace(maker, placement=placement)
            found.setdefault(name, []).append(run(placed, twins=twins))
    print(
        f"\n{maker.surrogate!r}, labels of {seconds} s, quickest of {rounds}\n\n"
        "| parent in | s in all | ratio | parent calls | steps | parent | tuning | prediction "
        "| overhead | start and end | tuning and prediction, ratio |\n" + "|---" * 11 + "|"
    )
    rows = {name: min(those, key=lambda each: each[0]) for name, those in found.items()}
    whole, first = next(iter(rows.values()))
    for name, (wall, doc) in rows.items():
        spent = doc.timings
        parts = (spent.parent, spent.tuning, spent.prediction, spent.overhead, wall - spent.total)
        learner = (spent.tuning + spent.prediction) / (
            first.timings.tuning + first.timings.prediction
        )
        print(
            f"| {name} | {wall:.1f} | {wall / whole:.2f} | {doc.parent_calls} | {doc.n_steps} | "
            + " | ".join(f"{part:.2f}" for part in parts)
            + f" | {learner:.2f} |"
        )


def placements(pollers: int) -> dict[str, tuple[Placement, bool]]:
    """Where the parent is, and whether in a twin job."""
    launcher = f"{sys.executable} {POLLING} {pollers}"
    alone = Placement(process="own", pause="no")
    beside = replace(alone, launcher=launcher)
    return {
        "the learner's process": (SAME, False),
        "its own process, nothing polls": (alone, False),
        f"its own process, {pollers} ranks paused": (replace(beside, pause="yes"), False),
        f"its own process, {pollers} ranks poll": (beside, False),
        "a twin job, nothing polls": (alone, True),
        f"a twin job, {pollers} ranks poll": (beside, True),
    }


def run(
    maker: OnlineRelaxMaker, start: Atoms | None = None, *, twins: bool = False
) -> tuple[float, RelaxationDoc]:
    """Relax; seconds in all, and the document."""
    atoms = start or oxygen_on_copper()
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    with TemporaryDirectory() as name:
        flow: Flow | Job = maker.make(atoms)
        if twins:
            meeting = FileRendezvous(name)
            flow = ColocatedRelaxMaker(relax_maker=maker, rendezvous=meeting).make(atoms)
        started = time.perf_counter()
        for _, ended in run_in_folders(flow, store, Path(name)):
            if isinstance(ended, Exception):
                raise ended
            if isinstance(ended.output, RelaxationDoc):
                doc = ended.output
        return time.perf_counter() - started, doc


def print_shares(*, quick: bool) -> None:
    """What tuning takes for each label, and of labels how long that would be the paper's share."""
    start = oxygen_on_copper() if quick else slab()
    calls, epochs = (2, 5) if quick else (4, 400)
    fast, paper = preset("fast"), preset("finetuna-2022")
    recipe = GradientSpec(epochs=epochs)
    if quick:
        fast, paper = (replace(each, surrogate=ToySpec(), fmax=0.3) for each in (fast, paper))
    makers = {"default": fast, f"paper's recipe, {epochs} epochs": replace(paper, tuner=recipe)}
    print(f"\n| {len(start)} atoms, s a label | labels | tuning | rest of learner |", end=" ")
    print(" | ".join(f"label for {share:.1%} ({on})" for on, share in PAPER.items()), end=" |\n")
    print("|---" * (4 + len(PAPER)) + "|")
    for name, maker in makers.items():
        maker = replace(
            maker,
            parent=AseParentSpec(),
            placement=SAME,
            limits=Limits(max_parent_calls=calls),
        )
        run(replace(maker, limits=Limits(max_parent_calls=1)), start)  # what only the first costs
        _, doc = run(maker, start)
        spent = doc.timings
        rest = (spent.prediction + spent.overhead) / doc.parent_calls
        print_share(name, doc.parent_calls, spent.tuning / doc.parent_calls, rest)
    if not quick:
        naive = naive_update(recipe, start)
        print_share(f"the same, naive (from {TIMED} epochs)", doc.parent_calls, naive, rest)


def print_share(name: str, labels: int, tuning: float, rest: float) -> None:
    lengths = [tuning / share - tuning - rest for share in PAPER.values()]
    least = f"none: {tuning / (tuning + rest):.1%} of 0 s"
    words = [f"{each:.1f}" if each > 0 else least for each in lengths]
    print(f"| {name} | {labels} | {tuning:.2f} | {rest:.2f} | {' | '.join(words)} |")


def naive_update(recipe: GradientSpec, atoms: Atoms) -> float:
    """Seconds for one label where every epoch passes the whole model; extrapolated."""
    frame = label(atoms, EMT, {})
    epochs = update(recipe, frame).report.epochs or recipe.epochs
    one, few = (
        update(replace(recipe, epochs=count, cached=False), frame).seconds for count in (1, TIMED)
    )
    return one + (epochs - 1) * (few - one) / (TIMED - 1)


if __name__ == "__main__":
    main()
