"""What the drivers of VASP cost beside VASP itself, with the stand-in under ``mpirun -n 2``.

    python benchmarks/vasp_modes.py [--ranks 2] [--labels 12] [--cycle-time 0.02]

Prints, from one run: processor time of the ranks while they are paused, seconds that stopping and
resuming add to a label, the drivers' own time per label beside the engine's (the same geometries
sent by a bare loop that only writes and reads lines), and the SCF cycles of one relaxation by BFGS
with each of M1, M2 and M3. The stand-in's electrons follow a model, so only the order of the last
three means something.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.parents.vasp.inputs import make_inputs
from finetuna_flows.parents.vasp.interactive import InteractiveVasp
from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.processes.tree import all_processes
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.direct import relax_on_parent
from finetuna_flows.relaxation.limits import Limits
from tests.systems import oxygen_on_copper

STAND_IN = Path(__file__).parents[1] / "tests" / "fakes" / "vasp.py"
PROMPT = b"POSITIONS: reading from stdin\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--cycle-time", type=float, default=0.02, help="s of CPU a SCF cycle")
    given = parser.parse_args(arguments)
    engine = f"{sys.executable} {STAND_IN}"
    mpirun = f"mpirun --allow-run-as-root --oversubscribe -n {given.ranks} {engine}"
    os.environ["FAKE_VASP_CYCLE_TIME"] = str(given.cycle_time)
    geometries = shaken(oxygen_on_copper(), given.labels)

    os.environ["VASP_COMMAND"] = mpirun
    print(f"command: mpirun -n {given.ranks} stand-in, {given.cycle_time} s a SCF cycle")
    print_pauses(geometries)
    os.environ["VASP_COMMAND"] = engine
    print_overhead(engine, geometries)
    print_cycles(oxygen_on_copper())


def shaken(atoms: Atoms, count: int) -> list[Atoms]:
    rng = np.random.default_rng(0)
    moved = [atoms.copy() for _ in range(count)]
    for each in moved:
        each.set_constraint()
        each.positions += rng.normal(scale=0.02, size=each.positions.shape)
    return moved


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name, chdir(name):
        yield Path(name)


def labelled(geometries: list[Atoms], pause: str) -> tuple[list[float], InteractiveVasp]:
    """Seconds of each label but the first, which starts the engine."""
    os.environ["FINETUNA_FLOWS_VASP_PAUSE"] = pause
    parent = InteractiveVasp(VaspParentSpec())
    seconds = []
    with parent:
        for atoms in geometries:
            started = time.perf_counter()
            parent.label(atoms)
            parent.rest()
            seconds.append(time.perf_counter() - started)
    return seconds[1:], parent


def print_pauses(geometries: list[Atoms]) -> None:
    busy, paused = {}, {}
    for pause in ("yes", "no"):
        os.environ["FINETUNA_FLOWS_VASP_PAUSE"] = pause
        with folder(), InteractiveVasp(VaspParentSpec()) as parent:
            parent.label(geometries[0])
            parent.rest()
            before = cpu_of_stand_ins()
            time.sleep(3.0)
            busy[pause] = cpu_of_stand_ins() - before
        with folder():
            paused[pause], _ = labelled(geometries, pause)
    print(f"processor time of the ranks in 3 s between labels, paused:     {busy['yes']:.2f} s")
    print(f"processor time of the ranks in 3 s between labels, not paused: {busy['no']:.2f} s")
    added = np.median(paused["yes"]) - np.median(paused["no"])
    print(f"a label, paused before and after:  {1e3 * np.median(paused['yes']):.1f} ms (median)")
    print(f"a label, never paused:             {1e3 * np.median(paused['no']):.1f} ms")
    print(f"added by stop and resume together: {1e3 * added:.1f} ms")


def cpu_of_stand_ins() -> float:
    total = 0.0
    for each in all_processes():
        try:
            words = Path(f"/proc/{each.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(STAND_IN).encode() in words and b"mpirun" not in words[0]:
            total += each.cpu
    return total


def print_overhead(engine: str, geometries: list[Atoms]) -> None:
    with folder():
        ours, _ = labelled(geometries, "no")
    with folder() as here:
        bare = bare_loop(engine, geometries, here)
    print(f"a kept engine: {1e3 * np.median(bare):.1f} ms a label by a bare loop,", end=" ")
    print(f"{1e3 * np.median(ours):.1f} ms by the driver:", end=" ")
    print(f"overhead {1e3 * (np.median(ours) - np.median(bare)):.1f} ms")
    with folder():
        parent = VaspParentSpec(continuation=Continuation.COLD).build()
        with parent:
            parent.label(geometries[0])
            cold = [parent.label(atoms).wall_time for atoms in geometries[1:4]]
        alone = []
        for place in sorted(Path("vasp").iterdir())[1:4]:
            started = time.perf_counter()
            subprocess.run(shlex.split(engine), cwd=place, stdout=subprocess.DEVNULL, check=True)
            alone.append(time.perf_counter() - started)
    print(f"a fresh engine: {1e3 * np.median(alone):.0f} ms a label alone,", end=" ")
    print(f"{1e3 * np.median(cold):.0f} ms by the driver:", end=" ")
    print(f"overhead {1e3 * (np.median(cold) - np.median(alone)):.0f} ms")


def bare_loop(engine: str, geometries: list[Atoms], here: Path) -> list[float]:
    """Seconds of each label but the first, by a loop that does nothing else."""
    first = geometries[0]
    inputs = make_inputs(OC20SetGenerator(), first, Continuation.KEPT, stand_in=True)
    inputs.write(here, first)
    pipe = subprocess.PIPE
    seconds = []
    with subprocess.Popen(shlex.split(engine), stdin=pipe, stdout=pipe, cwd=here) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for atoms in geometries:
            started = time.perf_counter()
            if atoms is not first:
                program.stdin.write(inputs.rows(atoms).encode())
                program.stdin.flush()
            while program.stdout.readline() != PROMPT:
                pass
            seconds.append(time.perf_counter() - started)
        program.stdin.close()
        program.stdout.read()
    return seconds[1:]


def print_cycles(start: Atoms) -> None:
    totals = {}
    for mode, kind in zip(("M1", "M2", "M3"), Continuation, strict=True):
        with folder() as here, Ledger(here, {"mode": mode}) as ledger:
            with VaspParentSpec(continuation=kind).build() as parent:
                run = relax_on_parent(
                    start, parent=parent, ledger=ledger, fmax=0.03, limits=Limits()
                )
            totals[mode] = (run.scf_cycles or 0, run.parent_calls, run.energy or 0.0)
    words = " : ".join(f"{mode} {cycles}" for mode, (cycles, _, _) in totals.items())
    calls = {calls for _, calls, _ in totals.values()}
    spread = np.ptp([energy for _, _, energy in totals.values()])
    print(f"SCF cycles of one relaxation by BFGS, {calls.pop()} labels: {words}")
    print(f"its energies differ by {1e3 * spread:.4f} meV")


if __name__ == "__main__":
    main()
