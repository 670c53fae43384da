"""Any ASE calculator as the parent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, SCFError
from ase.calculators.emt import EMT, parameters
from monty.json import MontyDecoder, MontyEncoder
from numpy.testing import assert_allclose

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.ase_engine import AseParent
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator
from tests.contracts.parent import ParentContract


class TestEMT(ParentContract):
    @classmethod
    def build(cls) -> ParentCalculator:
        return AseParentSpec("ase.calculators.emt:EMT").build()


class Scripted(Calculator):
    """Speaks to the interface as an engine would, with the numbers or the error it was given."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012  # as ASE has it

    def __init__(
        self, answer: Mapping[str, object] | None = None, error: Exception | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE has no types
        self.answer = answer or {}
        self.error = error
        self.calls = 0
        self.closed = False

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = (),
        system_changes: Sequence[str] = (),
    ) -> None:
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.results = dict(self.answer)

    def get_number_of_iterations(self) -> int:
        return 17

    def close(self) -> None:
        self.closed = True


class OwnError(Exception):
    """As engines have them, outside every tree."""


WATER = {"energy": -1.0, "free_energy": -1.5, "forces": np.ones((3, 3))}


def test_the_engines_numbers_arrive() -> None:
    with AseParent(Scripted(WATER), "scripted") as parent:
        label = parent.label(molecule("H2O"))
    assert (label.energy, label.free_energy, label.scf_cycles) == (-1.0, -1.5, 17)
    assert_allclose(label.forces, 1.0)


def test_asking_again_costs_no_scf_cycles() -> None:
    calculator = Scripted(WATER)
    parent = AseParent(calculator, "scripted")
    counts = [parent.label(molecule("H2O")).scf_cycles for _ in range(2)]
    assert counts == [17, 0]
    assert calculator.calls == 1


def test_after_a_failure_nothing_counts_as_known() -> None:
    calculator = Scripted(WATER)
    parent = AseParent(calculator, "scripted")
    water = molecule("H2O")
    parent.label(water)
    calculator.error = SCFError("no convergence")
    with pytest.raises(ParentError):
        parent.label(molecule("H2O", vacuum=3.0))
    calculator.error = None
    assert parent.label(water).scf_cycles == 17


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SCFError("electrons do not settle"), False),
        (OwnError("electrons do not settle"), False),
        (OSError("electrons do not settle"), True),
        (FileNotFoundError("electrons do not settle"), False),
    ],
)
def test_a_failure_keeps_the_engines_words(error: Exception, retryable: bool) -> None:
    parent = AseParent(Scripted(error=error), "scripted")
    words = rf"scripted failed: {type(error).__name__}: electrons do not settle"
    with pytest.raises(ParentError, match=words) as caught:
        parent.label(molecule("H2O"))
    assert caught.value.retryable is retryable
    assert caught.value.__cause__ is error


def test_forces_of_the_wrong_shape_are_refused() -> None:
    parent = AseParent(Scripted({**WATER, "forces": np.ones((2, 3))}), "scripted")
    with pytest.raises(ParentError, match=r"shape \(2, 3\) but must return \(3, 3\)"):
        parent.label(molecule("H2O"))


def test_numbers_that_are_not_finite_are_refused() -> None:
    parent = AseParent(Scripted({**WATER, "energy": float("nan")}), "scripted")
    with pytest.raises(ParentError, match="energy that are not finite"):
        parent.label(molecule("H2O"))


def test_an_element_that_the_engine_lacks_is_a_parent_error() -> None:
    with AseParentSpec().build() as parent, pytest.raises(ParentError, match=r"EMT.*failed: .*Fe"):
        parent.label(Atoms("Fe", cell=[5, 5, 5]))


def test_a_calculator_without_forces_is_a_parent_error() -> None:
    parent = AseParent(Scripted({"energy": 1.0}), "scripted")
    with pytest.raises(ParentError, match="PropertyNotImplementedError"):
        parent.label(molecule("H2O"))


def test_a_calculator_that_can_be_closed_is_closed_for_good() -> None:
    calculator = Scripted(WATER)
    with AseParent(calculator, "scripted") as parent:
        pass
    assert calculator.closed
    with pytest.raises(ParentError, match="scripted is closed; build the parent anew"):
        parent.label(molecule("H2O"))
    with pytest.raises(ParentError, match="is closed"), parent:
        pass


def test_the_level_names_class_and_arguments() -> None:
    parent = AseParentSpec("ase.calculators.emt:EMT", {"asap_cutoff": True}).build()
    assert parent.level == "EMT(asap_cutoff=True)"
    assert parent.elements == frozenset(parameters)


def test_labels_are_those_of_ase() -> None:
    atoms = TestEMT.geometry()
    label = AseParentSpec().build().label(atoms)
    atoms.calc = EMT()
    assert label.energy == atoms.get_potential_energy()
    assert_allclose(label.forces, atoms.get_forces(apply_constraint=False))


def test_a_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine.py").write_text(
        "from ase.calculators.emt import EMT\ndef load(cutoff=True):\n"
        "    return EMT(asap_cutoff=cutoff)\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    spec = AseParentSpec("engine.py:load", {"cutoff": False})
    monkeypatch.chdir(elsewhere)
    parent = spec.build()
    assert parent.level.startswith("EMT from load(cutoff=False), file ")
    assert parent.label(TestEMT.geometry()).scf_cycles is None


def test_the_spec_survives_json() -> None:
    spec = AseParentSpec("ase.calculators.emt:EMT", {"asap_cutoff": True})
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec


def test_a_target_that_makes_no_calculator_is_refused() -> None:
    with pytest.raises(TypeError, match="returned a dict but must return an ASE calculator"):
        AseParentSpec("builtins:dict").build()
