"""GPAW as the parent, in a setting coarser than its default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.embedded import embedded_engines
from finetuna_flows.parents.gpaw_engine import TEXT_FILE
from finetuna_flows.parents.specs import AseParentSpec, Continuation, GpawParentSpec
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.records import Label
from tests.contracts.parent import ParentContract, shaken

complaint = embedded_engines()["gpaw"]
pytestmark = [
    pytest.mark.gpaw,
    pytest.mark.skipif(complaint is not None, reason=str(complaint)),
    # GPAW's reader of restart files leaves them to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file.*state.gpw:ResourceWarning"),
]


def hydrogen() -> Atoms:
    """A stretched molecule, one atom fixed, in a box of its own."""
    atoms: Atoms = molecule("H2")
    atoms.set_distance(0, 1, 0.85)
    atoms.set_constraint(FixAtoms([0]))
    return atoms


class TestGpaw(ParentContract):
    continuation = Continuation.KEPT
    energy_tolerance = 1e-4  # the convergence of the energy
    force_tolerance = 5e-3  # forces are first order in the error of the density
    gradient_tolerance = 0.03  # the grid is coarse
    difference = 0.02

    @classmethod
    def build(cls) -> ParentCalculator:
        return coarse(cls.continuation).build()

    @classmethod
    def geometry(cls) -> Atoms:
        return hydrogen()


def coarse(continuation: Continuation) -> GpawParentSpec:
    return GpawParentSpec(cutoff=200.0, vacuum=2.5, continuation=continuation)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_three_continuations_agree_and_differ_in_cost() -> None:
    start = hydrogen()
    way = [start, shaken(start, seed=1), shaken(start, seed=2), shaken(start, seed=3)]
    labels = {}
    for continuation in Continuation:
        with coarse(continuation).build() as parent:
            labels[continuation] = [parent.label(atoms) for atoms in way]
    cold = labels[Continuation.COLD]
    for warm in (labels[Continuation.RESTART], labels[Continuation.KEPT]):
        for one, other in zip(cold, warm, strict=True):
            assert one.energy == pytest.approx(other.energy, abs=1e-3)  # the modes' own spread
            assert_allclose(one.forces, other.forces, atol=0.02)
        assert cycles(warm) < cycles(cold)


def cycles(labels: Sequence[Label]) -> int:
    return sum(label.scf_cycles or 0 for label in labels)


@pytest.mark.parametrize("continuation", Continuation)
def test_what_is_written_stays_in_the_folder_and_restarts_are_removed(
    continuation: Continuation, tmp_path: Path
) -> None:
    with coarse(continuation).build() as parent:
        parent.label(hydrogen())
        folders = [path for path in tmp_path.iterdir() if path.is_dir()]
        assert len(folders) == (continuation is Continuation.RESTART)
    assert [path.name for path in tmp_path.iterdir()] == [TEXT_FILE]


def test_the_same_geometry_again_costs_no_cycles_where_the_engine_lives() -> None:
    with coarse(Continuation.KEPT).build() as parent:
        first, again = parent.label(hydrogen()), parent.label(hydrogen())
    assert (first.scf_cycles or 0) > 1
    assert again.scf_cycles == 0
    with coarse(Continuation.COLD).build() as parent:
        counts = {parent.label(hydrogen()).scf_cycles for _ in range(2)}
    assert counts == {first.scf_cycles}


def test_no_convergence_is_an_error_with_the_engines_words(tmp_path: Path) -> None:
    spec = GpawParentSpec(cutoff=200.0, vacuum=2.5, max_iterations=2)
    with spec.build() as parent, pytest.raises(ParentError) as caught:
        parent.label(hydrogen())
    assert not caught.value.retryable
    assert "KohnShamConvergenceError (at most 2 SCF cycles" in str(caught.value)
    assert str(tmp_path / TEXT_FILE) in str(caught.value)


def test_a_failure_is_followed_by_a_sound_label() -> None:
    broken = hydrogen()
    broken.set_positions(np.zeros((2, 3)), apply_constraint=False)
    with coarse(Continuation.KEPT).build() as parent:
        first = parent.label(hydrogen())
        with pytest.raises(ParentError, match="too close"):
            parent.label(broken)
        second = parent.label(hydrogen())
    assert second.scf_cycles == first.scf_cycles  # from scratch
    assert second.energy == pytest.approx(first.energy, abs=1e-6)


def test_another_structure_may_follow() -> None:
    with coarse(Continuation.KEPT).build() as parent:
        parent.label(hydrogen())
        helium = parent.label(Atoms("He"))
    assert helium.forces.shape == (1, 3)
    assert_allclose(helium.forces, 0, atol=0.01)


def test_magnetic_moments_of_the_input_are_ignored() -> None:
    polarised = hydrogen()
    polarised.set_initial_magnetic_moments([1.0, 1.0])
    with coarse(Continuation.COLD).build() as parent:
        assert parent.label(polarised).energy == parent.label(hydrogen()).energy


def test_elements_are_those_with_data_sets() -> None:
    elements = GpawParentSpec().build().elements
    assert elements is not None
    assert {"H", "O", "Al", "Cu", "Pt"} <= elements
    assert not {"U", "Tc"} & elements


def test_a_functional_without_data_sets_is_refused() -> None:
    with pytest.raises(ParentError, match=r"no PAW data set for SCAN.*pip install"):
        GpawParentSpec(functional="SCAN").build()


def test_gpaw_can_also_be_any_ase_calculator(tmp_path: Path) -> None:
    arguments = {"mode": {"name": "pw", "ecut": 200}, "xc": "RPBE", "txt": None}
    box = hydrogen()
    box.center(vacuum=2.5)
    label = AseParentSpec("gpaw:GPAW", arguments).build().label(box)
    assert (label.scf_cycles or 0) > 1
    assert not list(tmp_path.iterdir())
