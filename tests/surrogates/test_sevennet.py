"""SevenNet: the laws within single precision, and its own calculator as the reference."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder
from sevenn.calculator import SevenNetCalculator
from sevenn.model_build import build_E3_equivariant_model
from sevenn.util import (
    get_available_pretrained_models,
    load_checkpoint,
    pretrained_name_to_path,
)

from finetuna_flows.errors import SurrogateError
from finetuna_flows.finetuning.specs import GradientSpec, LastLayerSpec, ResidualGPSpec
from finetuna_flows.protocols import (
    BranchingSurrogate,
    FeatureSurrogate,
    LastLayerSurrogate,
    TunerSpec,
)
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.sevennet import SevenNetSurrogate
from finetuna_flows.surrogates.specs import SEVENNET_MODELS, EnsembleSpec, SevenNetSpec
from tests.contracts.surrogate import (
    BranchingSurrogateContract,
    CacheableSurrogateContract,
    FeatureSurrogateContract,
)
from tests.finetuning.emt_frames import emt_frames
from tests.finetuning.test_cached import assert_same_descent, descend
from tests.surrogates.structures import slab, water, with_a_lone_oxygen


@cache
def sevennet() -> SevenNetSurrogate:
    return SevenNetSurrogate()


@pytest.mark.slow
class TestSevenNet(
    CacheableSurrogateContract, FeatureSurrogateContract, BranchingSurrogateContract
):
    step = 4e-3  # single precision rounds energies by 1e-5 eV
    energy_tolerance = 1e-4
    force_tolerance = 1e-4
    difference_tolerance = 3e-3
    feature_tolerance = 1e-5
    slope_tolerance = 3e-3  # single precision rounds sums of 100 by 1e-5

    def surrogate(self) -> SevenNetSurrogate:
        return sevennet()

    def branches(self) -> tuple[SevenNetSurrogate, SevenNetSurrogate]:
        return SevenNetSurrogate(), SevenNetSurrogate()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


@pytest.mark.filterwarnings("ignore:No tensor product accelerator")
@pytest.mark.parametrize("build", [slab, water])
def test_it_says_what_its_own_calculator_says(build: object) -> None:
    atoms = slab() if build is slab else water()
    said = sevennet().predict(atoms)
    atoms.calc = SevenNetCalculator("7net-mf-0", modal="PBE", device="cpu")
    assert said.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert said.forces == pytest.approx(atoms.get_forces(apply_constraint=False), abs=1e-5)


def test_a_model_of_several_levels_wants_one_of_them() -> None:
    with pytest.raises(SurrogateError, match=r"`modal` is 'HSE' but 7net-mf-0 has R2SCAN, PBE"):
        SevenNetSpec("7net-mf-0", "HSE").build()
    assert SevenNetSpec() == SevenNetSpec("7net-mf-0", "PBE")
    one, other = (SevenNetSpec("7net-mf-0", modal).build() for modal in ("PBE", "R2SCAN"))
    assert one.predict(water()).energy != pytest.approx(other.predict(water()).energy, abs=0.1)


def test_a_model_of_one_level_wants_none() -> None:
    SevenNetSpec("7net-0").build()
    with pytest.raises(SurrogateError, match="`modal` is 'PBE' but 7net-0 has one level only"):
        SevenNetSpec("7net-0", modal="PBE").build()


def test_unknown_elements_are_named() -> None:
    with pytest.raises(SurrogateError, match="does not know Po; these weights know 89 elements"):
        sevennet().predict(Atoms("PoH", [[0, 0, 0], [0, 0, 1.7]]))


def test_names_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="is '8net' but SevenNet's package knows 7net-mf-0"):
        SevenNetSpec("8net")


def test_its_names_are_its_packages() -> None:
    assert set(SEVENNET_MODELS) == set(get_available_pretrained_models())


class Trap:
    """A pickle that runs code where it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("sprung"),)


def test_a_name_is_never_a_file_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("7net-mf-0").write_bytes(pickle.dumps(Trap()))
    assert SevenNetSpec().build().predict(water()).energy == sevennet().predict(water()).energy
    assert not Path("sprung").exists()


def test_files_are_not_trusted_unless_the_user_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"no": "checkpoint"}, path)
    with pytest.raises(SurrogateError, match=r"mine\.pth is a pickle.*`trust_checkpoint`"):
        SevenNetSpec(str(path)).build()
    with pytest.raises(SurrogateError, match="is no checkpoint of SevenNet"):
        SevenNetSpec(str(path), trust_checkpoint=True).build()


def test_a_file_is_known_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.pth").write_bytes(b"1")
    spec = SevenNetSpec("mine.pth")
    assert spec.model == str(tmp_path / "mine.pth")
    before = spec.fingerprint()
    Path("mine.pth").write_bytes(b"2")
    assert spec.fingerprint() != before
    assert SevenNetSpec().fingerprint() is None


def test_the_spec_survives_json() -> None:
    spec = SevenNetSpec("7net-mf-0", "PBE")
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec


def test_its_head_learns_a_label() -> None:
    surrogate, atoms = CompositeSurrogate(SevenNetSurrogate()), slab()
    label = Label(0.0, 0.5 * surrogate.predict(atoms).forces)
    report = (
        GradientSpec(epochs=20, learning_rate=3e-3).build(surrogate).update([Frame(atoms, label)])
    )
    assert report.force_rmse_after < 0.7 * report.force_rmse_before
    assert surrogate.predict(atoms).energy == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "modal"),
    [("7net-mf-0", "PBE"), pytest.param("7net-0", None, marks=pytest.mark.slow)],
)
def test_the_last_layer_weighs_its_inputs(model: str, modal: str | None) -> None:
    surrogate, atoms = SevenNetSurrogate(model, modal), slab()
    free = np.ones((len(atoms), 3), dtype=bool)
    inputs = surrogate.last_layer_inputs(atoms, free)
    cached = surrogate.cache(surrogate.prepare(atoms), free)
    before = surrogate.predict(atoms)
    change = np.random.default_rng(0).normal(size=64, scale=0.1)
    with torch.no_grad():
        weights = dict(surrogate.named_parameters())["reduce_hidden_to_energy.linear.weight"]
        weights.add_(torch.as_tensor(change).float())
    after = surrogate.predict(atoms)
    assert after.energy - before.energy == pytest.approx(change @ inputs.values, abs=1e-3)
    expected = -np.tensordot(change, inputs.slopes, axes=1)
    assert np.abs(expected).max() > 0.1
    assert after.forces - before.forces == pytest.approx(expected, abs=1e-3)
    _, of_head = surrogate.evaluate_head(cached)
    assert of_head.detach().numpy() == pytest.approx(after.forces, abs=1e-4)


def test_it_offers_all_seams_with_all_weights_at_rest() -> None:
    for seam in (BranchingSurrogate, FeatureSurrogate, LastLayerSurrogate):
        assert isinstance(sevennet(), seam)
    sevennet().predict_head(sevennet().pass_backbone(water()))
    assert not any(weight.requires_grad for _, weight in sevennet().named_parameters())


@pytest.mark.slow
def test_its_descent_is_the_naive_one(caplog: pytest.LogCaptureFixture) -> None:
    naive, cached = (
        descend(
            SevenNetSurrogate(),
            GradientSpec(epochs=6, window=None, learning_rate=3e-3, cached=cached),
            [emt_frames(2)],
            caplog,
        )
        for cached in (False, True)
    )
    assert_same_descent(naive, cached, tolerance=1e-4)  # single precision, 3% of one step


@pytest.mark.parametrize("spec", [LastLayerSpec(), ResidualGPSpec(features=True)])
def test_corrections_learn_on_what_it_shows(spec: TunerSpec) -> None:
    surrogate, atoms = CompositeSurrogate(SevenNetSurrogate()), water()
    label = Label(0.0, 0.5 * surrogate.predict(atoms).forces)
    report = spec.build(surrogate).update([Frame(atoms, label)])
    assert report.force_rmse_after < 0.1 * report.force_rmse_before
    assert surrogate.predict(atoms).energy == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("atoms", [Atoms("H"), water() + Atoms("H", [[0, 0, 30]])])
def test_a_lone_atom_feels_no_force(atoms: Atoms) -> None:
    alone, found = (
        sevennet().predict(atoms),
        sevennet().predict_head(sevennet().pass_backbone(atoms)),
    )
    assert found.energy == pytest.approx(alone.energy, abs=1e-4)
    assert found.forces == pytest.approx(alone.forces, abs=1e-4)
    assert not found.forces[-1].any()


def test_another_level_or_model_is_another_backbone() -> None:
    assert not sevennet().shares_backbone(SevenNetSurrogate(modal="R2SCAN"))
    assert not sevennet().shares_backbone(SevenNetSurrogate("7net-0", None))


def test_what_was_not_prepared_is_refused() -> None:
    for ask in (sevennet().evaluate, lambda it: sevennet().cache(it, np.ones((3, 3), dtype=bool))):
        with pytest.raises(TypeError, match="got a Atoms but needs what `prepare` returns"):
            ask(water())


@pytest.mark.slow
def test_another_readout_predicts_but_offers_no_seam(tmp_path: Path) -> None:
    with_maps = load_checkpoint("7net-0")
    config = with_maps.config | {
        "readout_as_fcn": True,
        "readout_fcn_hidden_neurons": [4],
        "readout_fcn_activation": "relu",
    }
    network = build_E3_equivariant_model(config)
    network.load_state_dict(with_maps.model_state_dict, strict=False)
    path = tmp_path / "perceptron.pth"
    torch.save({"config": config, "model_state_dict": network.state_dict()}, path)
    surrogate = SevenNetSurrogate(str(path), None, trust_checkpoint=True)
    surrogate.predict(water())
    with pytest.raises(SurrogateError, match=r"no reduce_input_to_hidden and .*`cached=False`"):
        surrogate.pass_backbone(water())
    spec = SevenNetSpec(str(path), trust_checkpoint=True)
    together = EnsembleSpec((spec, spec)).build().predict(water())
    assert together.energy == pytest.approx(surrogate.predict(water()).energy)


@pytest.mark.parametrize(
    ("model", "modal", "meant"),
    [("7net-0", None, None), ("7net-mf-0", None, "PBE"), ("7net-mf-0", "R2SCAN", "R2SCAN")],
)
def test_a_model_takes_its_own_default_level(
    model: str, modal: str | None, meant: str | None
) -> None:
    assert SevenNetSurrogate(model, modal)._modal == meant
    assert SevenNetSpec(model, modal).modal == meant


def test_a_file_with_several_levels_and_none_named_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "levels.pth"
    copy.write_bytes(Path(pretrained_name_to_path("7net-mf-0")).read_bytes())
    with pytest.raises(SurrogateError, match=r"`modal` is None but .* has R2SCAN, PBE; name one"):
        SevenNetSpec(str(copy), trust_checkpoint=True).build()


def test_an_isolated_atom_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    surrogate = SevenNetSurrogate("7net-0")
    for _ in range(2):
        forces = surrogate.predict(with_a_lone_oxygen()).forces
    assert not forces[-1].any()
    assert [record.message for record in caplog.records if "beyond 5 Å" in record.message] == [
        "1 atoms of OH2O, the first atom 3 (O), lie beyond 5 Å from all others: SevenNet gives "
        "them a constant energy and no force, so nothing it says of them is a prediction"
    ]
