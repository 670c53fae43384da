"""SevenNet: the laws within single precision, and its own calculator as the reference."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder
from sevenn.calculator import SevenNetCalculator

from finetuna_flows.errors import SurrogateError
from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.records import Frame, Label
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.sevennet import SevenNetSurrogate
from finetuna_flows.surrogates.specs import SevenNetSpec
from tests.contracts.surrogate import SurrogateContract
from tests.surrogates.structures import slab, water


@cache
def sevennet() -> SevenNetSurrogate:
    return SevenNetSurrogate()


class TestSevenNet(SurrogateContract):
    step = 4e-3  # single precision rounds energies by 1e-5 eV
    energy_tolerance = 1e-4
    force_tolerance = 1e-4
    difference_tolerance = 3e-3

    def surrogate(self) -> SevenNetSurrogate:
        return sevennet()

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
    with pytest.raises(
        SurrogateError, match=r"could not load 8net: no such name; it knows 7net-0, "
    ):
        SevenNetSpec("8net").build()


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
