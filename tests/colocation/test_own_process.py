"""A parent in a process of its own keeps to what every parent does, and its errors come as are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from finetuna_flows.colocation.specs import place
from finetuna_flows.errors import CheckpointError, ElementError, ParentError
from finetuna_flows.parents.specs import AseParentSpec, Continuation, VaspParentSpec
from finetuna_flows.processes.tree import descendants
from finetuna_flows.protocols import ParentCalculator
from tests.colocation.own import OWN, asked, engine, own
from tests.contracts.parent import ParentContract, shaken
from tests.vasp import stand_in

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.slow
class TestEMT(ParentContract):
    keeps = frozenset({"parent"})

    @classmethod
    def build(cls) -> ParentCalculator:
        return place(AseParentSpec(), OWN)


@pytest.mark.slow
class TestVasp(ParentContract):
    """The stand-in, kept alive by a driver that is a process away."""

    keeps = frozenset({"parent"})
    energy_tolerance = 1e-5  # eight digits
    gradient_tolerance = 1e-3  # of these

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def command(cls) -> Iterator[None]:
        with stand_in():
            yield

    @classmethod
    def build(cls) -> ParentCalculator:
        return place(VaspParentSpec(continuation=Continuation.KEPT), OWN)

    def test_permuted_atoms_have_permuted_forces(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        """In a process of their own: a VASP that runs keeps its order."""
        order = np.random.default_rng(4).permutation(len(atoms))
        straight = parent.label(atoms)
        with pytest.raises(ParentError, match=r"another order or another cell .* of its own"):
            parent.label(atoms[order])
        with self.build() as other:
            permuted = other.label(atoms[order])
        assert permuted.energy == pytest.approx(straight.energy, abs=self.energy_tolerance)
        assert_allclose(permuted.forces, straight.forces[order], atol=self.force_tolerance)


def test_emt_says_the_same_from_another_process(atoms: Atoms) -> None:
    with own(AseParentSpec()) as parent, AseParentSpec().build() as emt:
        parent.prepare(atoms)
        assert parent.level == emt.level
        assert parent.elements == emt.elements
        for seed in range(2):
            moved = shaken(atoms, seed=seed)
            here, there = emt.label(moved), parent.label(moved)
            assert there.energy == pytest.approx(here.energy, abs=1e-10)  # of Hartree and back
            assert_allclose(there.forces, here.forces, atol=1e-10)
            assert there.free_energy == pytest.approx(here.free_energy, abs=1e-10)
            assert there.restarts == 0


def test_the_process_leaves_a_report_and_no_token(atoms: Atoms) -> None:
    with own(engine("Counting")) as parent:
        for seed in range(2):
            parent.label(shaken(atoms, seed=seed))
    assert sorted(each.name for each in Path("parent").iterdir()) == [
        ".parent.lock",
        "labels.jsonl",
        "order.json",
        "parent.log",
        "service.json",
    ]
    report = json.loads(Path("parent/service.json").read_text())
    assert (report["calls"], report["recalled"], report["failure"]) == (2, 0, None)
    assert report["level"] == parent.level


def test_an_element_that_the_parent_lacks_is_an_element_error(atoms: Atoms) -> None:
    atoms.symbols[8] = "Fe"
    with own(AseParentSpec()) as parent, pytest.raises(ElementError, match=r"EMT.*Fe|Fe.*EMT"):
        parent.prepare(atoms)


def test_a_calculator_that_is_not_there_is_a_value_error(atoms: Atoms) -> None:
    with (
        own(AseParentSpec("ase.calculators.emt:Nothing")) as parent,
        pytest.raises(
            ValueError, match=r"'ase.calculators.emt:Nothing' cannot be used: .* no call"
        ),
    ):
        parent.prepare(atoms)


def test_arguments_that_are_refused_are_a_type_error(atoms: Atoms) -> None:
    with (
        own(engine("Counting", cutoff=3)) as parent,
        pytest.raises(TypeError, match=r"Counting refuses the arguments .*'cutoff': 3"),
    ):
        parent.prepare(atoms)


@pytest.mark.slow
def test_settings_that_contradict_a_label_are_a_value_error(atoms: Atoms) -> None:
    from finetuna_flows.parents.vasp.sets import OC20SetGenerator

    spec = VaspParentSpec(OC20SetGenerator(user_incar_settings={"ISIF": 3}))
    with (
        stand_in(),
        own(spec) as parent,
        pytest.raises(ValueError, match="ISIF is 3"),
    ):
        parent.prepare(atoms)


def test_a_damaged_record_is_a_checkpoint_error(atoms: Atoms) -> None:
    Path("parent").mkdir()
    Path("parent/labels.jsonl").write_text("damaged\nand torn")
    with (
        own(AseParentSpec()) as parent,
        pytest.raises(CheckpointError, match=r"labels.jsonl:1: damaged record"),
    ):
        parent.prepare(atoms)


@pytest.mark.parametrize(
    ("name", "words", "retryable"),
    [
        ("Failing", "Failing.* failed: SCFError: the density goes to and fro", False),
        ("Unplugged", "Unplugged.* failed: OSError: the disk is gone", True),
    ],
)
def test_a_label_that_fails_says_so_in_the_engines_words_and_can_be_asked_again(
    name: str, words: str, retryable: bool, atoms: Atoms
) -> None:
    with own(engine(name)) as parent:
        for _ in range(2):
            with pytest.raises(ParentError, match=words) as caught:
                parent.label(atoms)
            assert caught.value.retryable is retryable
        running = {each.pid for each in descendants(os.getpid())}
        with pytest.raises(ParentError):
            parent.label(atoms)
        assert {each.pid for each in descendants(os.getpid())} == running
    assert asked() == 3
