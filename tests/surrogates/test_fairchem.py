"""fairchem's networks: the laws within single precision, and its own calculator as reference."""

from __future__ import annotations

import json
import random
import re
import runpy
import sys
from functools import cache
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from fairchem.core.calculate import pretrained_mlip
from fairchem.core.calculate.ase_calculator import FAIRChemCalculator
from fairchem.core.units.mlip_unit import load_predict_unit
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import SurrogateError
from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.protocols import Surrogate, TrainableSurrogate
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.fairchem import FairchemSurrogate
from finetuna_flows.surrogates.specs import FairchemSpec
from tests.contracts.surrogate import SurrogateContract
from tests.fakes.small_esen import SCRIPT, small_direct_esen, small_esen, small_uma
from tests.surrogates.structures import slab, water

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:index_reduce:UserWarning"),
]


def spec(kind: str) -> FairchemSpec:
    if kind == "conservative":
        return FairchemSpec(str(small_esen()), "oc20")
    if kind == "direct":
        return FairchemSpec(str(small_direct_esen()), "oc20")
    if kind == "omol":
        return FairchemSpec(str(small_uma()), "omol", charge=1, spin=2)
    return FairchemSpec(str(small_uma()), kind)


def build(kind: str = "conservative") -> FairchemSurrogate:
    built = spec(kind).build()
    assert isinstance(built, FairchemSurrogate)
    return built


def label(atoms: Atoms) -> Frame:
    asked = atoms.copy()
    asked.set_constraint()
    asked.calc = EMT()
    return Frame(atoms, Label(asked.get_potential_energy(), asked.get_forces()))


@cache
def untouched() -> FairchemSurrogate:
    return build()


@cache
def tuned() -> CompositeSurrogate:
    surrogate = CompositeSurrogate(build())
    recipe = GradientSpec(learning_rate=3e-3, epochs=40, energy_weight=1.0)
    recipe.build(surrogate).update([label(slab())])
    return surrogate


class TestFairchem(SurrogateContract):
    step = 4e-3  # single precision rounds energies by 1e-5 eV
    energy_tolerance = 1e-4
    force_tolerance = 1e-4
    difference_tolerance = 3e-3

    def surrogate(self) -> Surrogate:
        return untouched()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


class TestTunedFairchem(TestFairchem):
    def surrogate(self) -> Surrogate:
        return tuned().prior


def test_tuning_lowered_the_error_on_its_label() -> None:
    frame = label(slab())
    before, after = (
        np.abs(one.predict(frame.atoms).forces - frame.label.forces).mean()
        for one in (untouched(), tuned())
    )
    assert after < 0.9 * before


@pytest.mark.parametrize("kind", ["conservative", "direct", "oc20", "omol"])
@pytest.mark.parametrize("atoms", [slab(), water()], ids=["slab", "water"])
def test_its_own_calculator_says_the_same(kind: str, atoms: Atoms) -> None:
    asked = spec(kind)
    unit = load_predict_unit(asked.model, "batch", device="cpu")
    twin = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    twin.info = {"charge": asked.charge, "spin": asked.spin or 0}
    twin.calc = FAIRChemCalculator(unit, asked.task)
    ours = build(kind).predict(atoms)
    assert ours.energy == pytest.approx(twin.get_potential_energy(), abs=1e-5)
    assert ours.forces == pytest.approx(twin.get_forces(), abs=1e-5)
    assert np.abs(ours.forces).max() > 1e-3


def test_the_task_and_the_charge_decide() -> None:
    metal, ion = build("oc20").predict(water()), build("omol").predict(water())
    neutral = FairchemSpec(str(small_uma()), "omol").build().predict(water())
    assert abs(metal.energy - neutral.energy) > 1e-3
    assert abs(ion.energy - neutral.energy) > 1e-6


def test_what_the_atoms_say_of_charge_is_not_looked_at() -> None:
    charged = water()
    charged.info = {"charge": 3, "spin": 4, "energy": 1.0}
    assert build("omol").predict(charged).energy == build("omol").predict(water()).energy


@pytest.mark.parametrize("kind", ["conservative", "direct", "oc20"])
def test_it_is_trainable_with_all_weights_at_rest(kind: str) -> None:
    surrogate = build(kind)
    assert isinstance(surrogate, TrainableSurrogate)
    surrogate.predict(slab())
    assert not any(weight.requires_grad for _, weight in surrogate.named_parameters())
    assert surrogate.conservative is (kind != "direct")


@pytest.mark.parametrize("kind", ["conservative", "direct", "oc20"])
def test_forces_are_differentiable_in_the_weights(kind: str) -> None:
    surrogate = build(kind)
    prepared = surrogate.prepare(slab())
    endings = {"direct": "linear.weight", "oc20": "energy_block.2.weights"}
    ending = endings.get(kind, "energy_block.2.weight")
    (weight,) = (w for name, w in surrogate.named_parameters() if name.endswith(ending))
    weight.requires_grad_(True)
    (slope,) = torch.autograd.grad(surrogate.evaluate(prepared)[1].square().sum(), weight)
    way = slope / slope.norm()
    values = []
    for side in (1, -1):
        with torch.no_grad():
            weight.add_(side * 1e-2 * way)
        values.append(surrogate.evaluate(prepared)[1].square().sum().item())
        with torch.no_grad():
            weight.sub_(side * 1e-2 * way)
    assert (values[0] - values[1]) / 2e-2 == pytest.approx(slope.norm().item(), rel=2e-2)


@pytest.mark.parametrize("kind", ["conservative", "direct", "oc20"])
def test_a_prediction_shows_a_change_of_weights_at_once(kind: str) -> None:
    surrogate, atoms = build(kind), slab()
    before = surrogate.predict(atoms)
    heads = [w for n, w in surrogate.named_parameters() if n.startswith("output_heads.")]
    with torch.no_grad():
        for weight in heads:
            weight.mul_(1.5)
    after = surrogate.predict(atoms)
    assert abs(after.energy - before.energy) > 1e-4
    assert np.abs(after.forces - before.forces).max() > 1e-4


def test_another_composition_does_not_undo_a_change_of_weights() -> None:
    surrogate = build("oc20")
    surrogate.predict(slab())
    weights = dict(surrogate.named_parameters())
    with torch.no_grad():
        for weight in weights.values():
            weight.mul_(1.1)
    changed = surrogate.predict(slab())
    surrogate.predict(water())
    assert surrogate.predict(slab()).energy == changed.energy
    assert all(one is weights[name] for name, one in surrogate.named_parameters())
    assert any("routing_mlp" in name for name in weights)  # the experts are apart


def test_random_numbers_drawn_in_between_change_nothing() -> None:
    state = torch.get_rng_state()
    before = untouched().predict(slab())
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert untouched().predict(slab()).energy == before.energy


def test_elements_are_those_with_a_reference_energy() -> None:
    assert untouched().elements == frozenset({"H", "C", "N", "O", "Cu", "Pt"})


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(SurrogateError, match=r"task oc20 does not know Au; it knows C, Cu, H"):
        untouched().predict(Atoms("Au2", [[0, 0, 0], [0, 0, 3]]))


def test_a_lone_atom_is_refused() -> None:
    with pytest.raises(SurrogateError, match="what a lone H atom is"):
        untouched().predict(Atoms("H"))


def test_periodicity_without_a_cell_is_refused() -> None:
    with pytest.raises(SurrogateError, match=r"pbc is .*True.* but the cell has no vector"):
        untouched().predict(Atoms("H2", [[0, 0, 0], [0, 0, 1]], pbc=True))


def test_what_was_not_prepared_is_refused() -> None:
    with pytest.raises(TypeError, match="got a Atoms but needs what `prepare` returns"):
        untouched().evaluate(water())


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="`task` is 'omat' but the model holds oc20, omol"):
        FairchemSpec(str(small_uma()), "omat").build()


def test_loading_is_silent_and_leaves_random_numbers_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def states() -> tuple[object, ...]:
        legacy = str(np.random.get_state())  # noqa: NPY002 - what fairchem seeds
        return random.getstate(), legacy, torch.get_rng_state().tolist()

    asked = spec("direct")
    capsys.readouterr()
    before = states()
    asked.build()
    assert capsys.readouterr() == ("", "")
    assert states() == before


def test_a_model_that_the_hub_does_not_give_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(pretrained_mlip, "CACHE_DIR", str(tmp_path))
    with pytest.raises(
        SurrogateError, match=r"cannot get uma-s-1p1 .* `hf auth login` or HF_TOKEN"
    ):
        FairchemSpec("uma-s-1p1", "oc20").build()


@pytest.mark.slow
def test_the_script_writes_a_file_and_says_how_good_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "esen.pt"
    words = ["--out", str(out), "--structures", "200", "--steps", "2", "--direct"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert re.search(r"force error \d\.\d+ eV/Å, mean \|F\| \d\.\d+ eV/Å", capsys.readouterr().out)
    surrogate = FairchemSpec(str(out), "oc20").build()
    assert isinstance(surrogate, FairchemSurrogate)
    assert not surrogate.conservative
    metals = {"Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Al"}
    assert surrogate.elements == frozenset({"C", "N", "O", "H"} | metals)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="`model` is 'uma-xxl' but fairchem knows uma-s-1p2p1,"):
        FairchemSpec("uma-xxl", "oc20").build()


def test_a_file_is_remembered_by_its_absolute_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert FairchemSpec("esen.pt", "oc20").model == str(tmp_path.resolve() / "esen.pt")
    assert FairchemSpec("./esen", "oc20").model == str(tmp_path.resolve() / "esen")
    assert FairchemSpec("uma-s-1p2p1", "oc20").model == "uma-s-1p2p1"


def test_the_spec_refuses_what_fairchem_does_not_take() -> None:
    with pytest.raises(ValueError, match="`charge` is 101 but fairchem takes -100 to 100"):
        FairchemSpec("uma-s-1p1", "omol", charge=101)
    with pytest.raises(ValueError, match="`spin` is -1 but fairchem takes 0 to 100"):
        FairchemSpec("uma-s-1p1", "omol", spin=-1)
    with pytest.raises(ValueError, match="neither may be empty"):
        FairchemSpec("uma-s-1p1", "")


def test_spec_survives_json() -> None:
    asked = FairchemSpec("a/esen.pt", "omol", charge=-1, spin=2, trust_checkpoint=True)
    assert json.loads(json.dumps(asked, cls=MontyEncoder), cls=MontyDecoder) == asked
