"""ABINIT as the parent, by its own i-PI driver."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ase.io.abinit
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms

from finetuna_flows.colocation.abinit import abinit
from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.geometry import Array
from tests.contracts.engine import EngineContract
from tests.contracts.parent import shaken
from tests.engines.programs import needs

PSEUDO = "/usr/share/abinit/psp"
ARGUMENTS: dict[str, object] = {
    "pseudo_dir": PSEUDO,
    "pseudopotentials": {"Si": "14si.pspgth"},
    "variables": {
        "ecut": 6,
        "ngkpt": [2, 2, 2],
        "nshiftk": 1,
        "shiftk": [0, 0, 0],
        "toldff": 1e-6,
        "nstep": 60,
        "occopt": 7,
        "tsmear": 0.005,
    },
}

pytestmark = needs("abinit")


class TestAbinit(EngineContract):
    """Silicon in its primitive cell, where the symmetry of a first geometry would show."""

    names = frozenset({"abinit"})
    ends = frozenset({14})
    energy_tolerance = 1e-5
    force_tolerance = 1e-3
    gradient_tolerance = 1e-2
    difference = 1e-2

    @classmethod
    def spec(cls) -> IpiParentSpec:
        command = "abinit abinit.in --ipi {name}:UNIX"
        return IpiParentSpec(command, "finetuna_flows.colocation.abinit:abinit", ARGUMENTS)

    @classmethod
    def geometry(cls) -> Atoms:
        atoms = shaken(bulk("Si", a=5.4), seed=9)
        atoms.positions -= [0.3, 0.0, 0.1]  # out of the cell
        atoms.set_constraint(FixAtoms([0]))
        return atoms

    @classmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        variables = {"ecut": 6, "toldff": 1e-6, "tolwfr": 1e-12}
        return {**ARGUMENTS, "variables": variables}, "inconsistenc|tolwfr|toldff"

    @classmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        writer = abinit(**ARGUMENTS)  # type: ignore[arg-type]  # values of all kinds
        writer.directory = folder
        writer.write_input(atoms)
        file = folder / "abinit.in"
        file.write_text(file.read_text().replace("ionmov 28\n", "ionmov 0\n"))
        subprocess.run(["abinit", file.name], cwd=folder, capture_output=True, check=True)
        with (folder / "abinit.abo").open() as output:
            results = ase.io.abinit.read_abinit_out(output)
        return float(results["energy"]), np.asarray(results["forces"])
