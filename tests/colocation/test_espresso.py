"""Quantum ESPRESSO as the parent, by its own i-PI driver."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc100
from ase.calculators.espresso import EspressoProfile
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose

from finetuna_flows.colocation.espresso import espresso
from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.geometry import Array
from finetuna_flows.processes.tree import STOPPED, ProcessState, descendants
from finetuna_flows.protocols import RestingParent
from tests.contracts.engine import EngineContract
from tests.contracts.parent import displaced, shaken

PSEUDO = Path("/usr/share/espresso/pseudo")
FILES = {"H": "H.pz-vbc.UPF", "Al": "Al.pz-vbc.UPF"}
INPUT: dict[str, object] = {
    "ecutwfc": 12,
    "conv_thr": 1e-7,
    "degauss": 0.02,
    "mixing_beta": 0.4,
}
UNITS = 1e-6  # relative; those of Quantum ESPRESSO 6.7 are older than ASE's
CONVERGED = 1e-4  # eV; conv_thr is 1.4e-6 eV, and forces are off by the root of such an error
ONE, TWO = "pw.x", "mpirun --oversubscribe -n 2 pw.x"

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(shutil.which("pw.x") is None, reason="there is no pw.x"),
    pytest.mark.skipif(
        not all((PSEUDO / each).exists() for each in FILES.values()),
        reason=f"{PSEUDO} lacks the pseudopotentials",
    ),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[None]:
    with contextlib.chdir(tmp_path), pytest.MonkeyPatch.context() as patch:
        for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
            patch.setenv(name, "1")  # of Open MPI, which pw.x needs even without mpirun
        yield


@pytest.fixture
def atoms() -> Atoms:
    return hydrogen_on_aluminium()


def hydrogen_on_aluminium() -> Atoms:
    """Al₂H: H near the bridge of two layers of Al(100), the lower one fixed."""
    slab: Atoms = fcc100("Al", (1, 1, 2), a=3.95, vacuum=4.0)
    add_adsorbate(slab, "H", 1.1, position=(1.2, 0.2))
    slab.pbc = True
    slab.set_tags([0, 1, 2])
    slab.set_constraint(FixAtoms([0]))
    return slab


def quantum_espresso(program: str = ONE, pause: str = "auto") -> IpiParentSpec:
    arguments = {
        "pseudo_dir": str(PSEUDO),
        "pseudopotentials": FILES,
        "input_data": INPUT,
        "kpts": [3, 3, 1],
    }
    command = f"{program} -in espresso.pwi --ipi {{name}}:UNIX"
    target = "finetuna_flows.colocation.espresso:espresso"
    return IpiParentSpec(command, target, arguments, pause)


def one_shot(atoms: Atoms, folder: Path) -> Any:
    """The same by ASE, from a run of pw.x that ends."""
    calculator: Any = espresso(str(PSEUDO), FILES, INPUT, (3, 3, 1))
    calculator.profile = EspressoProfile("pw.x", PSEUDO)
    calculator.directory = folder
    copy: Any = atoms.copy()
    copy.set_constraint()
    copy.calc = calculator
    return copy


def ranks() -> list[ProcessState]:
    return [each for each in descendants(os.getpid()) if each.name == "pw.x"]


def folders() -> list[str]:
    return sorted(each.name for each in Path("engine").iterdir())


class TestQuantumEspresso(EngineContract):
    """Forces are those of a self-consistent density that every start finds anew, or nearly."""

    names = frozenset({"pw.x"})
    energy_tolerance = CONVERGED
    force_tolerance = 30 * CONVERGED
    alone_tolerance = 10 * CONVERGED
    few = 20
    gradient_tolerance = 3e-3
    difference = 1e-2
    units = UNITS

    @classmethod
    def spec(cls) -> IpiParentSpec:
        return quantum_espresso()

    @classmethod
    def geometry(cls) -> Atoms:
        return hydrogen_on_aluminium()

    @classmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        arguments = {**quantum_espresso().arguments, "input_data": {**INPUT, "smearing": "none"}}
        return arguments, "smearing none unknown"

    @classmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        direct = one_shot(atoms, folder)
        return direct.get_potential_energy(), direct.get_forces()


def test_forces_are_minus_the_gradient_along_every_axis_of_the_adsorbate(atoms: Atoms) -> None:
    with quantum_espresso().build() as parent:
        forces = parent.label(atoms).forces[2]
        for axis in range(3):
            way = np.zeros((3, 3))
            way[2, axis] = 0.01
            ahead, behind = (parent.label(displaced(atoms, s * way)).energy for s in (1, -1))
            assert forces[axis] == pytest.approx(-(ahead - behind) / 0.02, abs=5e-3)


def test_a_fixed_atom_still_has_its_raw_force(atoms: Atoms) -> None:
    with quantum_espresso().build() as parent:
        forces = parent.label(atoms).forces
    assert np.linalg.norm(forces[0]) > 0.1
    assert_allclose(forces.sum(axis=0), 0.0, atol=0.01)


def test_another_cell_has_an_engine_of_its_own(atoms: Atoms, tmp_path: Path) -> None:
    wider = atoms.copy()
    wider.set_cell(atoms.cell.array * [1.02, 1.02, 1.0], scale_atoms=True)
    with quantum_espresso().build() as parent:
        first = parent.label(atoms)
        parent.label(shaken(atoms, seed=1))
        assert folders() == ["0000"]
        second = parent.label(wider)
        assert folders() == ["0000", "0001"]
    direct = one_shot(wider, tmp_path / "direct")
    assert second.energy == pytest.approx(direct.get_potential_energy(), rel=UNITS, abs=CONVERGED)
    assert abs(second.forces - first.forces).max() > 0.01


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun")
def test_the_ranks_stand_still_while_they_rest_and_go_on_after(atoms: Atoms) -> None:
    with quantum_espresso(TWO, "yes").build() as parent:
        assert isinstance(parent, RestingParent)
        first = parent.label(atoms)
        assert len(ranks()) == 2
        parent.rest()
        before = ranks()
        assert {each.state for each in before} == {STOPPED}
        time.sleep(0.5)
        assert [each.cpu for each in ranks()] == [each.cpu for each in before]
        again = parent.label(atoms)
        assert [each.pid for each in ranks()] == [each.pid for each in before]
    assert again.energy == pytest.approx(first.energy, abs=CONVERGED)
    assert getattr(parent, "paused_time", 0.0) > 0.5
    assert ranks() == []


@pytest.mark.parametrize("name", ["nosym", "NOSYM"])
def test_symmetry_that_a_label_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="has nosym = False but a label needs True"):
        espresso(str(PSEUDO), FILES, {**INPUT, name: False})


def test_another_calculation_is_refused() -> None:
    with pytest.raises(ValueError, match="calculation = 'relax' but a label needs 'scf'"):
        espresso(str(PSEUDO), FILES, {**INPUT, "calculation": "relax"})


def test_a_cutoff_is_asked_for() -> None:
    with pytest.raises(ValueError, match="lacks ecutwfc, the cutoff of the plane waves in Ry"):
        espresso(str(PSEUDO), FILES, {})
