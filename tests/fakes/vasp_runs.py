"""Directories in which the stand-in runs, and a hand at its stdin with a deadline on every read."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT

from finetuna_flows.geometry import Array
from tests.systems import oxygen_on_copper
from tests.vasp import STAND_IN

COMMAND = (sys.executable, str(STAND_IN))
DEADLINE = 30.0
"""Seconds."""
INTERACTIVE = "INTERACTIVE = .TRUE.\nNSW = 10\nEDIFFG = 0\nIWAVPR = 11\nISPIN = 2\n"
STEP = re.compile(
    r"FORCES:\n(?P<forces>(?:[ \d.*NaN-]{42}\n)+)"
    r" *(?P<number>\d+) F= *(?P<free>\S+) E0= *(?P<zero>\S+) +d E =\S+(?: +mag= *(?P<mag>\S+))?\n"
)
"""One ionic step of the interactive mode on stdout."""
CYCLE = re.compile(r"^(?:DAV|RMM): +(\d+) +(-?0\.\d{12}E[+-]\d\d) ", re.MULTILINE)
"""One electronic cycle."""


@dataclass(frozen=True)
class Printed:
    """One ionic step as read from stdout."""

    number: int
    free: float
    zero: float
    forces: Array
    mag: float | None


def read_steps(text: str) -> list[Printed]:
    """All ionic steps of an interactive run."""
    return [
        Printed(
            int(found["number"]),
            float(found["free"]),
            float(found["zero"]),
            np.array([line.split() for line in found["forces"].splitlines()], dtype=float),
            float(found["mag"]) if found["mag"] else None,
        )
        for found in STEP.finditer(text)
    ]


def count_cycles(text: str) -> list[int]:
    """Electronic cycles of each ionic step."""
    numbers = [int(number) for number, _ in CYCLE.findall(text)] + [1]
    return [one for one, after in pairwise(numbers) if after == 1]


def prepare(directory: Path, atoms: Atoms, incar: str) -> Path:
    """Write INCAR, POSCAR and KPOINTS."""
    directory.mkdir(parents=True, exist_ok=True)
    ase.io.write(directory / "POSCAR", atoms, format="vasp", direct=True, vasp5=True)
    (directory / "INCAR").write_text(incar)
    (directory / "KPOINTS").write_text("grid\n0\nMonkhorst-Pack\n2 2 1\n0 0 0\n")
    return directory


def start(
    directory: Path, *, command: Sequence[str] = COMMAND, **environment: str
) -> subprocess.Popen[str]:
    """Start the program with FAKE_VASP_* as given, capitals and prefix left out."""
    own = {f"FAKE_VASP_{name.upper()}": value for name, value in environment.items()}
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1", **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Ended:
    """A finished process."""

    status: int
    out: str
    err: str


def run(directory: Path, given: str = "", **environment: str) -> Ended:
    """Run to the end with all of stdin given beforehand."""
    with start(directory, **environment) as process:
        try:
            out, err = process.communicate(given, timeout=DEADLINE)
        finally:
            process.kill()
    return Ended(process.returncode, out, err)


class Talk:
    """A conversation with a running program."""

    def __init__(
        self, directory: Path, *, command: Sequence[str] = COMMAND, **environment: str
    ) -> None:
        self.process = start(directory, command=command, **environment)
        self.heard = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()

    def say(self, text: str) -> None:
        """Send text."""
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def listen(self, until: str, *, seconds: float = DEADLINE) -> str:
        """What it says up to a word, which must come in time; the end of its output is an end."""
        assert self.process.stdout
        descriptor, deadline, said = self.process.stdout.fileno(), time.monotonic() + seconds, ""
        while until not in said:
            ready = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                raise TimeoutError(f"no {until!r} in {seconds} s, only {said[-500:]!r}")
            chunk = os.read(descriptor, 65536).decode()
            if not chunk:
                break
            said += chunk
        self.heard += said
        return said

    def label(self, fractional: Array) -> str:
        """Send positions, hear the answer and the next prompt."""
        self.say(rows(fractional))
        return self.listen("reading from stdin\n")

    def end(self) -> int:
        """Hear the rest, wait for the end; the exit status."""
        self.listen("there is no such word")
        return self.process.wait(DEADLINE)


def rows(fractional: Array) -> str:
    """Positions as the prompt wants them."""
    return "".join(" ".join(f"{x:.16f}" for x in position) + "\n" for position in fractional)


def expected(atoms: Atoms) -> tuple[float, Array]:
    """E0 in eV and forces in eV/Å of the calculator, as VASP would have them."""
    bare = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    bare.calc = EMT()
    return bare.get_potential_energy() - 10 * len(atoms), bare.get_forces()


def shaken(index: int, size: float = 0.02) -> Atoms:
    """The system a little elsewhere."""
    atoms = oxygen_on_copper()
    atoms.positions[4:] += np.random.default_rng(index).normal(0, size, (5, 3))
    return atoms


def fractional(atoms: Atoms) -> Array:
    """Positions along the lattice vectors, not wrapped."""
    return np.asarray(atoms.get_scaled_positions(wrap=False))
