"""An ASE calculator as a prior: raw forces, and refusals that name the calculator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.calculators.emt import EMT
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import Surrogate, TrainableSurrogate
from finetuna_flows.surrogates.ase_prior import AseSurrogate
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water

EMT_TARGET = "ase.calculators.emt:EMT"


class Failing(Calculator):
    """Refuses every geometry."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (as ASE declares it)

    def calculate(self, *args: object, **kwargs: object) -> None:
        raise CalculationFailed("no convergence")


class TestAsePrior(SurrogateContract):
    def surrogate(self) -> Surrogate:
        return AseSurrogate(EMT_TARGET, {})

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


def test_it_says_what_ase_says() -> None:
    atoms = slab()
    atoms.set_constraint()
    atoms.calc = EMT()
    prediction = AseSurrogate(EMT_TARGET, {}).predict(slab())
    assert prediction.energy == atoms.get_potential_energy()
    assert np.array_equal(prediction.forces, atoms.get_forces())


def test_answers_stay_when_the_calculator_goes_on() -> None:
    surrogate, atoms = AseSurrogate(EMT_TARGET, {}), slab()
    first = surrogate.predict(atoms)
    kept = first.forces.copy()
    atoms.rattle(0.1)
    surrogate.predict(atoms)
    assert np.array_equal(first.forces, kept)


def test_it_has_no_weights() -> None:
    assert not isinstance(AseSurrogate(EMT_TARGET, {}), TrainableSurrogate)


def test_elements_are_those_of_the_calculator() -> None:
    known = AseSurrogate(EMT_TARGET, {}).elements
    assert known is not None
    assert {"Cu", "Pt"} <= known
    assert "Fe" not in known
    assert AseSurrogate("ase.calculators.lj:LennardJones", {}).elements is None


def test_arguments_reach_the_calculator() -> None:
    energies = [
        AseSurrogate("ase.calculators.lj:LennardJones", {"epsilon": epsilon})
        .predict(water())
        .energy
        for epsilon in (1.0, 2.0)
    ]
    assert energies[1] == pytest.approx(2 * energies[0])


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(
        SurrogateError, match="EMT cannot predict Fe2: NotImplementedError: No EMT-potential for Fe"
    ):
        AseSurrogate(EMT_TARGET, {}).predict(Atoms("Fe2", [[0, 0, 0], [0, 0, 2]]))


def test_a_failed_calculation_is_refused() -> None:
    surrogate = AseSurrogate(f"{__name__}:Failing", {})
    with pytest.raises(
        SurrogateError, match="Failing cannot predict OH2: CalculationFailed: no convergence"
    ):
        surrogate.predict(water())


def test_spec_survives_json_and_builds() -> None:
    spec = AseSurrogateSpec("ase.calculators.lj:LennardJones", {"sigma": 2.0, "rc": 6.0})
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec
    assert np.isfinite(spec.build().predict(water()).energy)
