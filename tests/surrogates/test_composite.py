"""The composite: a prior before any correction, then corrections in order, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from finetuna_flows.protocols import CorrectableSurrogate, Surrogate
from finetuna_flows.records import Prediction
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water


@dataclass(frozen=True)
class Affine:
    """Multiplies energy and forces, then adds to the energy: two of them do not commute."""

    factor: float
    shift: float

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        energy = self.factor * below.energy + self.shift
        return replace(below, energy=energy, forces=self.factor * below.forces)


class TestComposite(SurrogateContract):
    def surrogate(self) -> Surrogate:
        composite = CompositeSurrogate(ToySurrogate(seed=1))
        composite.correct("scale", Affine(10.0, 0.0))
        return composite

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


@pytest.fixture
def composite() -> CompositeSurrogate:
    return CompositeSurrogate(ToySurrogate())


def test_it_can_be_corrected(composite: CompositeSurrogate) -> None:
    assert isinstance(composite, CorrectableSurrogate)


def test_without_corrections_it_is_its_prior(composite: CompositeSurrogate) -> None:
    ours, prior = composite.predict(slab()), composite.prior.predict(slab())
    assert ours.energy == prior.energy
    assert np.array_equal(ours.forces, prior.forces)
    assert composite.elements == composite.prior.elements


def test_corrections_act_in_the_order_in_which_they_came(composite: CompositeSurrogate) -> None:
    prior = composite.predict(slab()).energy
    composite.correct("a", Affine(2.0, 1.0))
    composite.correct("b", Affine(3.0, -5.0))
    assert composite.corrections == ("a", "b")
    assert composite.predict(slab()).energy == pytest.approx(3 * (2 * prior + 1) - 5)


def test_a_correction_keeps_its_place_when_it_is_replaced(composite: CompositeSurrogate) -> None:
    prior = composite.predict(slab()).energy
    for name, correction in (("a", Affine(2.0, 1.0)), ("b", Affine(3.0, 0.0))):
        composite.correct(name, correction)
    composite.correct("a", Affine(1.0, 7.0))
    assert composite.corrections == ("a", "b")
    assert composite.predict(slab()).energy == pytest.approx(3 * (prior + 7))


def test_below_a_correction_are_those_before_it(composite: CompositeSurrogate) -> None:
    prior = composite.predict(slab()).energy
    composite.correct("a", Affine(2.0, 0.0))
    composite.correct("b", Affine(3.0, 0.0))
    assert composite.predict_below("a", slab()).energy == prior
    assert composite.predict_below("b", slab()).energy == 2 * prior


def test_all_is_below_a_correction_that_is_still_to_come(composite: CompositeSurrogate) -> None:
    composite.correct("a", Affine(2.0, 0.0))
    atoms = bulk("Cu").repeat(2)
    assert composite.predict_below("new", atoms).energy == composite.predict(atoms).energy
