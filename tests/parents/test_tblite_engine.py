"""GFN1-xTB as the parent."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.embedded import embedded_engines
from finetuna_flows.parents.specs import Continuation, TbliteParentSpec
from finetuna_flows.protocols import ParentCalculator
from tests.contracts.parent import ParentContract, shaken

complaint = embedded_engines()["tblite"]
pytestmark = pytest.mark.skipif(complaint is not None, reason=str(complaint))


def carbon_monoxide_on_copper() -> Atoms:
    slab: Atoms = fcc111("Cu", (3, 3, 1), a=3.865, vacuum=6.0)  # GFN1-xTB's own lattice constant
    add_adsorbate(slab, molecule("CO"), 1.9, position=(1.5, 0.9), mol_index=1)
    slab.set_constraint(FixAtoms([0, 1]))
    return slab


class TestTblite(ParentContract):
    continuation = Continuation.KEPT
    energy_tolerance = 1e-4  # tblite's default accuracy, and a guess that depends on the past
    force_tolerance = 2e-3  # as above
    gradient_tolerance = 5e-3
    difference = 5e-3

    @classmethod
    def build(cls) -> ParentCalculator:
        return TbliteParentSpec(continuation=cls.continuation).build()

    @classmethod
    def geometry(cls) -> Atoms:
        return carbon_monoxide_on_copper()


class TestTbliteCold(TestTblite):
    continuation = Continuation.COLD
    energy_tolerance = 1e-8
    force_tolerance = 1e-6


def test_what_is_kept_saves_cycles_and_changes_nothing() -> None:
    start = carbon_monoxide_on_copper()
    way = [start, shaken(start, seed=1), shaken(start, seed=2)]
    cycles = []
    with TestTbliteCold.build() as cold, TestTblite.build() as kept:
        for atoms in way:
            scratch, continued = cold.label(atoms), kept.label(atoms)
            cycles.append((scratch.scf_cycles or 0, continued.scf_cycles or 0))
            assert continued.energy == pytest.approx(scratch.energy, abs=1e-4)
            assert_allclose(continued.forces, scratch.forces, atol=2e-3)
    from_scratch, from_before = np.sum(cycles[1:], axis=0)
    assert from_before < 0.8 * from_scratch


def test_a_moved_and_turned_molecule_keeps_its_energy() -> None:
    water = molecule("H2O")
    with TbliteParentSpec(continuation=Continuation.COLD).build() as parent:
        label = parent.label(water)
        water.translate((1.0, -2.0, 30.0))
        water.rotate(90, "x")
        turned = parent.label(water)
    assert turned.energy == pytest.approx(label.energy, abs=1e-7)
    quarter = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert_allclose(turned.forces, label.forces @ quarter, atol=1e-5)


def test_the_numbers_are_those_of_tblites_own_calculator() -> None:
    reference = pytest.importorskip("tblite.ase")
    atoms = carbon_monoxide_on_copper()
    label = TbliteParentSpec(continuation=Continuation.COLD).build().label(atoms)
    atoms.calc = reference.TBLite(method="GFN1-xTB", verbosity=0)
    assert label.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert_allclose(label.forces, atoms.get_forces(apply_constraint=False), atol=1e-6)


def test_magnetic_moments_and_charges_of_the_input_are_ignored() -> None:
    oxygen = molecule("O2")
    plain = oxygen.copy()
    plain.set_initial_magnetic_moments(None)
    oxygen.set_initial_charges([1.0, 0.0])
    parent = TbliteParentSpec().build()
    assert parent.label(oxygen).energy == pytest.approx(parent.label(plain).energy, abs=1e-6)


def test_another_structure_may_follow() -> None:
    parent = TbliteParentSpec().build()
    parent.label(molecule("H2O"))
    after = parent.label(molecule("CO"))
    assert after.energy == TbliteParentSpec().build().label(molecule("CO")).energy


def test_no_convergence_is_an_error_and_the_next_label_is_sound() -> None:
    parent = TbliteParentSpec(max_iterations=6).build()
    fine = parent.label(molecule("H2"))
    with pytest.raises(ParentError, match="SCF not converged in 6 cycles") as caught:
        parent.label(carbon_monoxide_on_copper())
    assert not caught.value.retryable
    assert parent.label(molecule("H2")).energy == pytest.approx(fine.energy, abs=1e-8)


def test_a_small_surface_cell_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    parent = TbliteParentSpec().build()
    small = fcc111("Cu", (2, 2, 1), a=3.865, vacuum=6.0)
    with caplog.at_level(logging.WARNING):
        parent.label(small)
        parent.label(small)
    assert len(caplog.records) == 1
    assert f"repeats after {2 * 3.865 / math.sqrt(2):.1f} Å" in caplog.text
    assert "3×3 or more" in caplog.text


def test_molecules_and_large_cells_are_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    parent = TbliteParentSpec().build()
    parent.label(molecule("H2O"))
    parent.label(carbon_monoxide_on_copper())
    assert not caplog.records


def test_elements_end_where_the_parameters_end() -> None:
    elements = TbliteParentSpec().build().elements
    assert elements is not None
    assert {"H", "Pt", "Rn"} <= elements
    assert "Fr" not in elements
