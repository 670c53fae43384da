"""The package ipi drives a parent of ours, served by the command line as a user does it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from finetuna_flows.colocation.kept_labels import NAME
from finetuna_flows.geometry import Array
from tests.children import wait_until
from tests.engines.programs import needs, program

SERVE = [sys.executable, "-m", "finetuna_flows.cli", "serve"]
FMAX = 0.05  # eV/Å
STARTS = 60.0
ENDS = 120.0
"""Seconds."""
INPUT = """\
<simulation verbosity='low'>
 <output prefix='run'><properties filename='out'> [step, potential] </properties></output>
 <total_steps>200</total_steps>
 <ffsocket name='driver' mode='unix' pbc='False'><address>{name}</address></ffsocket>
 <system>
  <initialize nbeads='1'><file mode='xyz'> start.xyz </file></initialize>
  <forces><force forcefield='driver'/></forces>
  <motion mode='minimize'>
   <optimizer mode='{mode}'>
    <tolerances>
     <energy units='electronvolt'> 1e-4 </energy>
     <force units='ev/ang'> {fmax} </force>
     <position units='angstrom'> 5e-3 </position>
    </tolerances>
   </optimizer>
  </motion>
 </system>
</simulation>
"""

pytestmark = [*needs("i-pi"), pytest.mark.usefixtures("here")]


def write(atoms: Atoms, name: str, mode: str) -> None:
    """The input files of ipi, and the structure for us, in the present folder."""
    free = atoms.copy()
    free.set_constraint()
    free.info.clear()
    ase.io.write("start.extxyz", free)
    cell = " ".join(f"{each:.12f}" for each in free.cell.cellpar())
    units = "positions{angstrom} cell{angstrom}"
    lines = [str(len(free)), f"# CELL(abcABC): {cell} {units}"]
    for symbol, place in zip(free.get_chemical_symbols(), free.positions, strict=True):
        lines.append(" ".join([symbol, *(f"{each:.12f}" for each in place)]))
    Path("start.xyz").write_text("\n".join(lines) + "\n")
    Path("input.xml").write_text(INPUT.format(name=name, mode=mode, fmax=FMAX))


@contextlib.contextmanager
def driver(atoms: Atoms, mode: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running ipi, and the address where it waits for us."""
    name = f"test_{uuid4().hex[:12]}"
    door = Path(f"/tmp/ipi_{name}")
    write(atoms, name, mode)
    with Path("log").open("wb") as log:
        running = subprocess.Popen([program("i-pi"), "input.xml"], stdout=log, stderr=log)
    try:
        wait_until(door.exists, STARTS, "the socket of ipi")
        yield running, f"unix:{door}"
    finally:
        running.kill()
        running.wait()
        door.unlink(missing_ok=True)


def serve(address: str) -> list[str]:
    return [*SERVE, "start.extxyz", "--parent", "emt", "--connect", address, "-d", "served"]


def said(printed: str) -> tuple[int, int]:
    """How many labels were sent, and how many of them computed before."""
    sent, recalled = re.findall(r"(\d+) labels sent, (\d+) of them computed before", printed)[0]
    return int(sent), int(recalled)


def kept() -> list[Array]:
    lines = Path("served", NAME).read_text().splitlines()
    return [np.array(json.loads(line)["body"]["positions"]) for line in lines[1:]]


@pytest.mark.parametrize("mode", ["bfgs", "lbfgs", "cg"])
def test_a_minimizer_of_ipi_is_served_to_its_end(atoms: Atoms, mode: str) -> None:
    with driver(atoms, mode) as (running, address):
        ran = subprocess.run(serve(address), capture_output=True, text=True, timeout=ENDS)
        assert ran.returncode == 0, ran.stderr
        assert running.wait(ENDS) == 0
    sent, recalled = said(ran.stderr)
    labelled = kept()
    assert len(labelled) == sent - recalled
    for number, each in enumerate(labelled):
        others = labelled[:number]
        assert all(abs(each - other).max() > 1e-9 for other in others)  # none computed twice
    if mode == "cg":
        assert recalled > 0.1 * sent
    last = atoms.copy()
    last.set_constraint()
    last.positions = labelled[-1]
    last.calc = EMT()
    printed = float(Path("run.out").read_text().split()[-1])  # Hartree
    assert printed * 27.211386 == pytest.approx(last.get_potential_energy(), abs=0.01)
    assert np.linalg.norm(last.get_forces(), axis=1).max() < 3 * FMAX


def test_both_that_were_killed_begin_again_and_nothing_is_computed_twice(atoms: Atoms) -> None:
    with driver(atoms, "cg") as (_, address):
        first = subprocess.Popen(serve(address), stderr=subprocess.PIPE)
        wait_until(lambda: Path("served", NAME).exists() and len(kept()) > 5, ENDS, "labels")
        first.kill()
        first.communicate()
    before = len(kept())
    with driver(atoms, "cg") as (running, address):
        ran = subprocess.run(serve(address), capture_output=True, text=True, timeout=ENDS)
        assert ran.returncode == 0, ran.stderr
        assert running.wait(ENDS) == 0
    sent, recalled = said(ran.stderr)
    assert recalled >= before
    assert len(kept()) == sent - recalled + before


def test_a_driver_that_is_killed_ends_the_parent_with_its_name(atoms: Atoms) -> None:
    with (
        driver(atoms, "cg") as (running, address),
        subprocess.Popen(serve(address), stderr=subprocess.PIPE, text=True) as parent,
    ):
        wait_until(lambda: Path("served", NAME).exists() and len(kept()) > 2, ENDS, "labels")
        running.kill()
        _, told = parent.communicate(timeout=ENDS)
    assert parent.returncode not in (0, -9)
    assert "closed the connection" in told
    assert "Traceback" not in told
