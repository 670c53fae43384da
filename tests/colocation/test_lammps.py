"""LAMMPS as the parent, by its `fix ipi`."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms

from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.colocation.standard_cell import Turn
from finetuna_flows.colocation.template import template
from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from tests.contracts.engine import EngineContract
from tests.contracts.parent import shaken
from tests.engines.programs import needs, program

INPUT = """\
units metal
atom_style atomic
atom_modify map yes sort 0 0.0
boundary p p p
read_data structure.data
pair_style morse 6.0
pair_coeff 1 1 0.27 1.16 3.25
pair_coeff 1 2 0.30 1.25 3.00
pair_coeff 2 2 0.34 1.36 2.87
"""
BY_SOCKET = "fix 1 all ipi ${socket} 1 unix\nrun 100000000\n"
BY_ITSELF = """\
thermo_style custom pe
thermo_modify format float %.12f
run 0
write_dump all custom forces.dump id fx fy fz modify format float %.12f sort id
"""
WRITTEN = {
    "structure": "structure.data",
    "format": "lammps-data",
    "options": {"specorder": ["Al", "Cu"], "masses": True},
}

pytestmark = needs("lmp")


def lammps(rest: str = BY_SOCKET) -> dict[str, object]:
    return {"inputs": {"in.lammps": INPUT + rest}, **WRITTEN}


class TestLammps(EngineContract):
    """Aluminium and copper by Morse's pair potential, in a cell that no vector of is along x."""

    names = frozenset({"lmp"})
    ends = frozenset({1, 243})  # the latter where it still writes to the socket
    energy_tolerance = 1e-6  # its units have seven digits
    force_tolerance = 1e-6
    gradient_tolerance = 1e-4

    @classmethod
    def spec(cls) -> IpiParentSpec:
        command = f"{program('lmp')} -in in.lammps -var socket {{name}}"
        return IpiParentSpec(command, "finetuna_flows.colocation.template:template", lammps())

    @classmethod
    def geometry(cls) -> Atoms:
        atoms: Atoms = bulk("Al", a=4.0) * (2, 2, 2)
        atoms.symbols[5:] = "Cu"
        atoms = shaken(atoms, seed=9)
        atoms.set_constraint(FixAtoms([0]))
        return atoms

    @classmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        return lammps("pair_style no/such/style\n"), "Unrecognized pair style 'no/such/style'"

    @classmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        turn = Turn.standard(atoms.cell.array)
        writer = template(**lammps(BY_ITSELF))  # type: ignore[arg-type]  # values of all kinds
        writer.directory = folder
        atoms = atoms.copy()
        atoms.set_constraint()
        writer.write_input(turn.turned(atoms))
        ran = subprocess.run(
            [program("lmp"), "-in", "in.lammps"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        _, _, printed = ran.stdout.partition("PotEng")
        forces = np.loadtxt(folder / "forces.dump", skiprows=9)[:, 1:]
        return float(printed.split()[0]), turn.back(forces)

    def test_a_cell_as_it_is_would_be_another_crystal(self, atoms: Atoms) -> None:
        spec = replace(self.spec(), standard_cell=False)
        upper = atoms.copy()
        upper.set_cell([[5.6, 0.0, 1.0], [0.5, 5.6, 0.0], [0.0, 0.5, 5.6]], scale_atoms=True)
        with self.build() as parent:
            right = parent.label(upper).energy
        with spec.build() as parent:
            try:
                wrong = parent.label(upper).energy
            except ParentError:
                return
        assert abs(wrong - right) > 0.1
