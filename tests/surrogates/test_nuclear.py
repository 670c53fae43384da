"""The repulsion of nuclei as a prior."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.surrogates.nuclear import NuclearSurrogate
from finetuna_flows.surrogates.repulsion import zbl_energy
from finetuna_flows.surrogates.specs import NuclearSpec
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water


class TestNuclear(SurrogateContract):
    def surrogate(self) -> NuclearSurrogate:
        return NuclearSurrogate()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


def test_two_atoms_repel_as_the_formula_says() -> None:
    pair = Atoms("OCu", [[0, 0, 0], [0, 0, 1.2]])
    expected = zbl_energy(
        torch.tensor([1.2], dtype=torch.float64), torch.tensor([8]), torch.tensor([29])
    )
    prediction = NuclearSurrogate().predict(pair)
    assert prediction.energy == pytest.approx(expected.item())
    assert prediction.forces[0, 2] < 0 < prediction.forces[1, 2]


def test_any_element_is_known() -> None:
    assert NuclearSurrogate().elements is None
    assert NuclearSurrogate().predict(Atoms("OgBk", [[0, 0, 0], [0, 0, 2.0]])).energy > 0


def test_spec_survives_json_and_builds() -> None:
    spec = MontyDecoder().decode(MontyEncoder().encode(NuclearSpec()))
    assert spec == NuclearSpec()
    assert isinstance(spec.build(), NuclearSurrogate)
