"""What goes to stdout, and OSZICAR, which holds a part of it."""

from __future__ import annotations

import math

from .engine import Answer
from .fortran import fixed, row, scientific
from .scene import MOMENT, Scene
from .scf import Cycle
from .structure import Array

COLUMNS = (
    "       N       E                     dE             d eps       ncg     rms          rms(c)"
)
REACHED = " reached required accuracy - stopping structural energy minimisation\n"


def heading(scene: Scene) -> str:
    """Everything before the first electronic cycle."""
    structure, switches = scene.structure, scene.switches
    kinds = "".join(f"{kind:<3}" for kind in structure.kinds)
    wavecar = " the WAVECAR file was read successfully" if scene.warm else " WAVECAR not read"
    lines = [
        f" running on {scene.cores:4d} total cores",
        f" distrk:  each k-point on {scene.cores:4d} cores,    1 groups",
        f" distr:  one band on    1 cores, {scene.cores:4d} groups",
        " using from now: INCAR     ",
        f" vasp.{switches.version} {switches.build}".ljust(81),
        f" {switches.sentence}",
        f" POSCAR found type information on POSCAR {kinds}",
        f" POSCAR found : {len(structure.kinds):2d} types and {len(structure):7d} ions",
        " scaLAPACK will be used",
        " LDA part: xc-table for Pade appr. of Perdew",
        " POSCAR, INCAR and KPOINTS ok, starting setup",
        " FFT: planning ...",
        *([" found WAVECAR, reading the header"] if scene.warm else []),
        wavecar,
        " entering main loop",
    ]
    return "\n".join(lines) + "\n"


def cycle_line(scene: Scene, cycle: Cycle, energy: float, change: float, *, mixes: bool) -> str:
    """One electronic cycle, in eV, after which the charge density is mixed or not."""
    fast = scene.job.algo.lower()[:1] in {"f", "v"}
    name = "RMM" if fast and (cycle.number > 5 or scene.job.algo.lower()[:1] == "v") else "DAV"
    size = abs(cycle.change)
    rms = 0.6 * math.sqrt(size)
    text = (
        f"{name}: {cycle.number:3d}   {scientific(energy, 20, 12)}   {scientific(change, 12, 5)}"
        f"   {scientific(-1.1 * size, 12, 5)}{2 * scene.bands:6d}  {scientific(rms, 10, 3)}"
    )
    return text + (f"   {scientific(rms / 2, 10, 3)}\n" if mixes else "\n")


def force_block(forces: Array) -> str:
    """What the interactive mode prints of the forces."""
    return "FORCES:\n" + "".join(row(force, 14, 7) + "\n" for force in forces)


def summary_line(scene: Scene, step: int, answer: Answer, before: float | None) -> str:
    """The line that ends an ionic step; `before` is the free energy of the one before."""
    relaxed = answer.free - (before or 0.0)
    change = -2 * answer.entropy if scene.job.ibrion == -1 else relaxed
    text = (
        f"{step:4d} F= {scientific(answer.free, 14, 8)} E0= {scientific(answer.zero, 14, 8)}"
        f"  d E ={scientific(change, 12, 6)}"
    )
    return text + (f"  mag={fixed(MOMENT, 11, 4)}\n" if scene.polarized else "\n")


def not_converged() -> str:
    """The warning of VASP 6 after NELM cycles."""
    words = (
        "The electronic self-consistency was not achieved in the given",
        "number of steps (NELM).",
    )
    rule = " " + "-" * 77 + "\n"
    return rule + "".join(f"|     {line:<72}|\n" for line in words) + rule
