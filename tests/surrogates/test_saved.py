"""Saved surrogates: what comes back is what was trained, and nothing is lost on the way."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder, MSONable

from finetuna_flows.errors import SurrogateError
from finetuna_flows.protocols import CacheableSurrogate, Surrogate, TrainableSurrogate
from finetuna_flows.surrogates.library import (
    MODEL,
    WEIGHTS,
    check_base,
    check_free,
    read_model,
    saved_names,
)
from finetuna_flows.surrogates.saved import save_surrogate
from finetuna_flows.surrogates.specs import (
    AseSurrogateSpec,
    CHGNetSpec,
    FairchemSpec,
    PerturbedHeadSpec,
    SavedSpec,
    ToySpec,
)
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water


def changed(seed: int = 0, factor: float = 1.5) -> ToySurrogate:
    """A toy with other weights than its spec gives it."""
    surrogate = ToySurrogate(seed=seed)
    with torch.no_grad():
        for _, weight in surrogate.named_parameters():
            weight.mul_(factor).add_(0.01)
    return surrogate


def saved(folder: Path, **provenance: object) -> SavedSpec:
    spec = SavedSpec(str(folder))
    spec.write(ToySpec(), changed(), provenance)
    return spec


@cache
def loaded() -> Surrogate:
    return saved(Path(mkdtemp()) / "toy").build()


class TestSaved(SurrogateContract):
    def surrogate(self) -> Surrogate:
        return loaded()

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


def test_it_predicts_what_was_saved_and_not_what_its_base_does(tmp_path: Path) -> None:
    found = saved(tmp_path / "toy").build().predict(slab())
    expected, base = changed().predict(slab()), ToySurrogate().predict(slab())
    assert found.energy == expected.energy != base.energy
    assert (found.forces == expected.forces).all()


def test_it_can_be_trained_and_cached_where_its_base_can(tmp_path: Path) -> None:
    surrogate = saved(tmp_path / "toy").build()
    assert isinstance(surrogate, TrainableSurrogate)
    assert surrogate.head == ToySurrogate().head
    assert isinstance(surrogate, CacheableSurrogate) == isinstance(
        ToySurrogate(), CacheableSurrogate
    )
    assert not any(weight.requires_grad for _, weight in surrogate.named_parameters())


def test_chgnet_keeps_all_its_weights(tmp_path: Path) -> None:
    network = CHGNetSpec().build()
    assert isinstance(network, TrainableSurrogate)
    with torch.no_grad():
        for _, weight in network.named_parameters():
            weight.mul_(1.01)
    spec = SavedSpec(str(tmp_path / "net"))
    spec.write(CHGNetSpec(), network, {})
    found, expected = spec.build().predict(slab()), network.predict(slab())
    assert found.energy == expected.energy != CHGNetSpec().build().predict(slab()).energy
    assert (found.forces == expected.forces).all()


def test_a_name_lives_in_the_folder_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_MODELS_PATH", str(tmp_path))
    assert saved_names(tmp_path) == []
    spec = SavedSpec("slabs-2.1")
    spec.write(ToySpec(), changed(), {})
    assert spec.folder == tmp_path / "slabs-2.1"
    assert saved_names(tmp_path) == ["slabs-2.1"]
    assert spec.build().predict(slab()).energy == changed().predict(slab()).energy


def test_a_path_is_remembered_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = SavedSpec("./toy")
    assert spec.name == str(tmp_path / "toy")
    assert spec.folder == tmp_path / "toy"


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "..", "a:b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"`name` is '.*' but must be letters, digits"):
        SavedSpec(name)


def test_spec_survives_json() -> None:
    spec = SavedSpec("slabs")
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec


def test_the_folder_says_where_the_weights_come_from(tmp_path: Path) -> None:
    model = read_model(saved(tmp_path / "toy", systems=["Cu8"], error=0.1).folder)
    assert model["provenance"] == {"systems": ["Cu8"], "error": 0.1}
    assert MontyDecoder().process_decoded(model["base"]) == ToySpec()
    assert sorted(file.name for file in (tmp_path / "toy").iterdir()) == [MODEL, WEIGHTS]
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("noisy", [False, True])
def test_what_is_made_from_a_saved_one_needs_it_no_more(noisy: bool, tmp_path: Path) -> None:
    first = saved(tmp_path / "first")
    second = SavedSpec(str(tmp_path / "second"))
    second.write(PerturbedHeadSpec(first) if noisy else first, changed(factor=3.0), {})
    for file in first.folder.iterdir():
        file.unlink()
    assert second.build().predict(slab()).energy == changed(factor=3.0).predict(slab()).energy


def test_a_name_that_is_taken_is_refused_unless_asked(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    with pytest.raises(ValueError, match="toy holds a saved surrogate already; choose another"):
        spec.write(ToySpec(), changed(factor=2.0), {})
    assert spec.build().predict(slab()).energy == changed().predict(slab()).energy
    spec.write(ToySpec(), changed(factor=2.0), {}, overwrite=True)
    assert spec.build().predict(slab()).energy == changed(factor=2.0).predict(slab()).energy
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="mine exists and holds no saved surrogate"):
        SavedSpec(str(tmp_path / "mine")).write(ToySpec(), changed(), {}, overwrite=True)
    check_free(tmp_path / "other", overwrite=False)


def test_a_file_of_the_users_own_is_never_deleted(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    (spec.folder / "notes.txt").touch()
    (spec.folder / "figures").mkdir()
    with pytest.raises(ValueError, match=r"toy holds figures, notes\.txt besides a saved"):
        check_free(spec.folder, overwrite=True)
    with pytest.raises(ValueError, match="choose another name"):
        spec.write(ToySpec(), changed(factor=2.0), {}, overwrite=True)
    assert (spec.folder / "notes.txt").exists()
    assert spec.build().predict(slab()).energy == changed().predict(slab()).energy


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    there = saved(tmp_path / "disk" / "toy")
    link = tmp_path / "models" / "toy"
    link.parent.mkdir()
    link.symlink_to(there.folder)
    save_surrogate(link, ToySpec(), changed(factor=2.0), {}, overwrite=True)
    assert link.is_symlink()
    assert there.build().predict(slab()).energy == changed(factor=2.0).predict(slab()).energy


def test_what_was_there_comes_back_when_the_new_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = saved(tmp_path / "toy")
    replace, full = Path.replace, []

    def once(self: Path, target: Path) -> Path:
        """The disk is full when the second folder is renamed."""
        full.append(target)
        if len(full) == 2:
            raise OSError("No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", once)
    with pytest.raises(OSError, match="No space left"):
        spec.write(ToySpec(), changed(factor=2.0), {}, overwrite=True)
    assert spec.build().predict(slab()).energy == changed().predict(slab()).energy
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


def test_a_failed_writing_leaves_what_was_there(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    with pytest.raises(TypeError, match="not JSON serializable"):
        spec.write(ToySpec(), changed(factor=2.0), {"strange": {1, 2j}}, overwrite=True)
    assert spec.build().predict(slab()).energy == changed().predict(slab()).energy
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


def test_a_model_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    saved(tmp_path / "toy")
    with pytest.raises(SurrogateError, match=r"nothing holds no model.json; .* beside it: toy. "):
        SavedSpec(str(tmp_path / "nothing")).build()


def test_damage_is_refused(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    whole = (spec.folder / WEIGHTS).read_bytes()
    (spec.folder / WEIGHTS).write_bytes(whole[:-1])
    with pytest.raises(SurrogateError, match=r"weights.pt is not the file that model.json descr"):
        spec.build()
    (spec.folder / MODEL).write_text("{")
    with pytest.raises(SurrogateError, match=r"model.json is damaged"):
        spec.build()
    (spec.folder / MODEL).write_text('{"schema": 99}')
    with pytest.raises(SurrogateError, match="is not a record of schema 1; save the model again"):
        spec.build()
    (spec.folder / MODEL).write_text('{"schema": 1, "base": {}}')
    with pytest.raises(
        SurrogateError, match="damaged: it has no base_sha256, weights_sha256, prov"
    ):
        spec.build()


def test_damage_is_found_before_anything_is_built(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    (spec.folder / WEIGHTS).write_bytes(b"")
    replace_base(spec, FairchemSpec(str(tmp_path / "none.pt"), "oc20").as_dict())
    with pytest.raises(SurrogateError, match=r"weights.pt is not the file that model.json descr"):
        spec.build()


class Marking:
    """Leaves a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._marker,)


def replace_weights(spec: SavedSpec, content: bytes) -> None:
    """Put other weights in the folder, with the checksum that fits them."""
    (spec.folder / WEIGHTS).write_bytes(content)
    model = json.loads((spec.folder / MODEL).read_text())
    model["weights_sha256"] = sha256(content).hexdigest()
    (spec.folder / MODEL).write_text(json.dumps(model))


def test_code_in_the_place_of_weights_is_refused(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    marker = tmp_path / "marker"
    content = pickle.dumps(Marking(marker), protocol=2)
    replace_weights(spec, content)
    with pytest.raises(SurrogateError, match=r"weights.pt cannot be read"):
        spec.build()
    assert not marker.exists()


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    file = tmp_path / "other.pt"
    torch.save({"head.weight": torch.zeros(3)}, file)
    replace_weights(spec, file.read_bytes())
    with pytest.raises(SurrogateError, match=r"does not fit its base: backbone.elements, .* diff"):
        spec.build()


@dataclass(frozen=True)
class MarkingSpec(MSONable):
    """Leaves a file when it is decoded."""

    marker: str

    def __post_init__(self) -> None:
        Path(self.marker).touch()


def replace_base(spec: SavedSpec, base: object) -> None:
    model = json.loads((spec.folder / MODEL).read_text())
    model["base"] = base
    (spec.folder / MODEL).write_text(json.dumps(model))


def test_a_base_that_could_run_code_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    marker = tmp_path / "marker"
    decoded = {
        "@module": MarkingSpec.__module__,
        "@class": "MarkingSpec",
        "marker": str(marker),
    }
    called = AseSurrogateSpec("os:mkdir", {"path": str(marker)}).as_dict()
    noisy = PerturbedHeadSpec(ToySpec()).as_dict()
    for base in (
        decoded,
        called,
        noisy | {"surrogate": called},
        noisy | {"surrogate": decoded},
        noisy | {"seed": [decoded]},
        {"@module": "os", "@callable": "mkdir"},
        "toy",
    ):
        replace_base(spec, base)
        with pytest.raises(SurrogateError, match=r"model.json: the base is .* but a saved surro"):
            spec.build()
    assert not marker.exists()


@pytest.mark.parametrize("noisy", [False, True])
def test_a_record_that_leads_to_a_saved_one_again_is_refused(noisy: bool, tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    base = PerturbedHeadSpec(spec) if noisy else spec
    replace_base(spec, json.loads(json.dumps(base, cls=MontyEncoder)))
    told = r"model.json: the base is the saved surrogate '/.*/toy' but must be what that one was"
    with pytest.raises(SurrogateError, match=told):
        spec.build()
    with pytest.raises(SurrogateError, match=told):
        spec.fingerprint()
    with pytest.raises(SurrogateError, match=told):
        SavedSpec(str(tmp_path / "other")).write(spec, changed(), {})


def test_a_base_that_trusts_a_checkpoint_is_refused(tmp_path: Path) -> None:
    trusting = FairchemSpec(str(tmp_path / "evil.pt"), "oc20", trust_checkpoint=True)
    spec = saved(tmp_path / "toy")
    replace_base(spec, trusting.as_dict())
    with pytest.raises(SurrogateError, match=r"`trust_checkpoint` is set in the base but a saved"):
        spec.build()
    with pytest.raises(ValueError, match=r"`trust_checkpoint` is set in the base but a saved"):
        check_base(PerturbedHeadSpec(trusting).as_dict())


def test_a_base_that_no_longer_exists_is_told(tmp_path: Path) -> None:
    spec = saved(tmp_path / "toy")
    replace_base(spec, ToySpec().as_dict() | {"depth": 3})
    with pytest.raises(SurrogateError, match=r"model.json: .*unexpected keyword argument 'depth'"):
        spec.build()


def test_a_base_that_could_not_be_loaded_again_is_not_saved(tmp_path: Path) -> None:
    spec = SavedSpec(str(tmp_path / "emt"))
    with pytest.raises(ValueError, match=r"the base is 'AseSurrogateSpec' of .* can be made from"):
        spec.write(AseSurrogateSpec("ase.calculators.emt:EMT"), changed(), {})
    assert list(tmp_path.iterdir()) == []
