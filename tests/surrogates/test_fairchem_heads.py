"""A checkpoint with a head for each of several tasks: one is asked, the others rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from fairchem.core.calculate.ase_calculator import FAIRChemCalculator
from fairchem.core.units.mlip_unit import load_predict_unit

from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.geometry import free_components
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.ensemble import EnsembleSurrogate
from finetuna_flows.surrogates.fairchem_cached import CacheableFairchemSurrogate
from finetuna_flows.surrogates.specs import EnsembleSpec, FairchemSpec, SavedSpec
from tests.fakes.small_esen import small_two_headed_esen
from tests.surrogates.structures import slab, water
from tests.surrogates.test_fairchem import label

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:index_reduce:UserWarning"),
]

TASKS = ("oc20", "omat")


def spec(task: str) -> FairchemSpec:
    return FairchemSpec(str(small_two_headed_esen()), task)


def build(task: str) -> CacheableFairchemSurrogate:
    built = spec(task).build()
    assert isinstance(built, CacheableFairchemSurrogate)
    return built


def weights(surrogate: CacheableFairchemSurrogate, head: str) -> dict[str, torch.Tensor]:
    named = dict(surrogate.named_parameters())
    return {name: each.detach().clone() for name, each in named.items() if f".{head}_head." in name}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("atoms", [slab(), water()], ids=["slab", "water"])
def test_its_own_calculator_says_the_same(task: str, atoms: Atoms) -> None:
    """It asks all heads, which it can only where they keep the graph, as in training."""
    twin = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    unit = load_predict_unit(str(small_two_headed_esen()), "batch", device="cpu")
    unit.model.module.output_heads.train()
    twin.calc = FAIRChemCalculator(unit, task)
    ours = build(task).predict(atoms)
    assert ours.energy == pytest.approx(twin.get_potential_energy(), abs=1e-5)
    assert ours.forces == pytest.approx(twin.get_forces(), abs=1e-5)
    assert np.abs(ours.forces).max() > 1e-3


def test_the_tasks_differ() -> None:
    one, other = (build(task).predict(slab()) for task in TASKS)
    assert np.abs(one.forces - other.forces).max() > 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_taken_apart_it_says_the_same(task: str) -> None:
    """By features that are kept, and by one pass through the backbone asked twice."""
    surrogate, atoms = build(task), slab()
    whole = surrogate.predict(atoms)
    passed = surrogate.pass_backbone(atoms)
    for _ in range(2):
        again = surrogate.predict_head(passed)
        assert again.energy == pytest.approx(whole.energy, abs=1e-5)
        assert again.forces == pytest.approx(whole.forces, abs=1e-5)
    free = free_components(atoms)
    energy, forces = surrogate.evaluate_head(surrogate.cache(surrogate.prepare(atoms), free))
    assert float(energy.detach()) == pytest.approx(whole.energy, abs=1e-5)
    assert forces.detach().numpy()[free] == pytest.approx(whole.forces[free], abs=1e-5)


def test_tuning_moves_the_asked_head_and_a_saved_model_keeps_the_other(tmp_path: Path) -> None:
    base = build("oc20")
    before = {head: weights(base, head) for head in TASKS}
    surrogate = CompositeSurrogate(base)
    report = GradientSpec(epochs=5).build(surrogate).update([label(slab())])
    assert report.n_frames == 1
    after = {head: weights(base, head) for head in TASKS}
    assert before["oc20"].keys()
    assert any(not torch.equal(before["oc20"][name], after["oc20"][name]) for name in after["oc20"])
    saved = SavedSpec(str(tmp_path / "tuned"))
    saved.write(spec("oc20"), base, {})
    loaded = saved.build()
    assert isinstance(loaded, CacheableFairchemSurrogate)
    assert loaded.predict(slab()).energy == base.predict(slab()).energy
    for head in ({"omat": before["omat"]}, {"omat": after["omat"]}):
        kept = weights(loaded, "omat")
        assert kept.keys() == head["omat"].keys()
        assert all(torch.equal(kept[name], values) for name, values in head["omat"].items())


def test_an_ensemble_shares_one_backbone_and_leaves_the_other_head_alone() -> None:
    ensemble = EnsembleSpec.of_heads(spec("oc20"), 2).build()
    assert isinstance(ensemble, EnsembleSurrogate)
    spread = ensemble.predict(slab()).forces_std
    assert spread is not None
    assert spread.max() > 0


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="`task` is 'omol' but the model holds oc20, omat"):
        spec("omol").build()
