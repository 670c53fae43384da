"""CP2K as the parent, by its `&DRIVER`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.units import Bohr, Hartree

from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.colocation.template import template
from finetuna_flows.geometry import Array
from tests.contracts.engine import EngineContract
from tests.contracts.parent import shaken
from tests.engines.programs import needs

BY_SOCKET = """\
&GLOBAL
  PROJECT water
  RUN_TYPE DRIVER
  PRINT_LEVEL LOW
&END GLOBAL
&MOTION
  &DRIVER
    HOST {name}
    UNIX T
  &END DRIVER
&END MOTION
"""
BY_ITSELF = """\
&GLOBAL
  PROJECT water
  RUN_TYPE ENERGY_FORCE
  PRINT_LEVEL LOW
&END GLOBAL
"""
SYSTEM = """\
&FORCE_EVAL
  METHOD QS
  &DFT
    BASIS_SET_FILE_NAME GTH_BASIS_SETS
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF 280
      REL_CUTOFF 50
    &END MGRID
    &SCF
      EPS_SCF 1.0E-8
    &END SCF
    &XC
      &XC_FUNCTIONAL PADE
      &END XC_FUNCTIONAL
    &END XC
  &END DFT
  &PRINT
    &FORCES
      FILENAME forces
    &END FORCES
  &END PRINT
  &SUBSYS
    &CELL
      A {a}
      B {b}
      C {c}
    &END CELL
    &COORD
{atoms}
    &END COORD
    &KIND H
      BASIS_SET SZV-GTH
      POTENTIAL GTH-PADE-q1
    &END KIND
    &KIND O
      BASIS_SET SZV-GTH
      POTENTIAL GTH-PADE-q6
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""

pytestmark = needs("cp2k")


class TestCP2K(EngineContract):
    """Water in a small periodic box."""

    names = frozenset({"cp2k", "cp2k.psmp"})
    energy_tolerance = 1e-5
    force_tolerance = 1e-3
    gradient_tolerance = 0.05  # its grid is coarse
    difference = 1e-2
    turned_tolerance = 1e-3

    @classmethod
    def spec(cls) -> IpiParentSpec:
        target = "finetuna_flows.colocation.template:template"
        arguments = {"inputs": {"cp2k.inp": BY_SOCKET + SYSTEM}}
        return IpiParentSpec("cp2k -i cp2k.inp", target, arguments)

    @classmethod
    def geometry(cls) -> Atoms:
        atoms: Atoms = molecule("H2O", cell=(4.5, 4.5, 4.5), pbc=True)
        atoms.center()
        atoms = shaken(atoms, seed=9)
        atoms.set_constraint(FixAtoms([0]))
        return atoms

    @classmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        text = (BY_SOCKET + SYSTEM).replace("SZV-GTH", "NO-SUCH-SET")
        return {"inputs": {"cp2k.inp": text}}, "NO-SUCH-SET"

    @classmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        writer = template({"cp2k.inp": BY_ITSELF + SYSTEM})
        writer.directory = folder
        writer.write_input(atoms)
        ran = subprocess.run(
            ["cp2k", "-i", "cp2k.inp"], cwd=folder, capture_output=True, text=True, check=True
        )
        total = re.search(r"ENERGY\| Total FORCE_EVAL .*: +(-[0-9.]+)", ran.stdout)
        assert total is not None
        (printed,) = folder.glob("*forces*")
        rows = re.findall(r"^ +\d+ +\d+ +[A-Z]\w? +(.*)$", printed.read_text(), re.MULTILINE)
        forces = np.array([[float(each) for each in row.split()] for row in rows])
        return float(total[1]) * Hartree, forces * (Hartree / Bohr)
