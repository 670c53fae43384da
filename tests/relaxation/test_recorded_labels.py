"""Energies and forces under names other than ASE's, in each kind of file."""

from __future__ import annotations

import re
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import ParentError
from finetuna_flows.flows.imported import ImportedRelaxMaker, read_existing
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.labels import parse_label_keys
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.recorded.recording import Reading, Recording
from tests.relaxation.recorded_files import relaxed_by_ase, write_frames

NAMES = [
    ("REF_energy", "REF_forces"),
    ("energy_dft", "dft_forces"),
    ("dft_energy", "forces_ref"),
    ("E0", "forces_dft"),
    ("TotEnergy", "force"),
]
FILES = ["run.extxyz", "run.extxyz.gz", "run.traj", "run.db", "run.json"]


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()[:4]


def write_renamed(frames: list[Atoms], path: Path, **names: str) -> Path:
    """Without a calculator, and with its results under `names`."""
    copies = []
    for each in frames:
        copy = each.copy()
        for quantity, key in names.items():
            value = each.calc.results[quantity.split("_")[0]]
            if np.ndim(value) and path.suffix != ".traj":  # which keeps no arrays of other names
                copy.arrays[key] = value
            else:
                copy.info[key] = value
        copies.append(copy)
    if path.suffix not in (".db", ".json"):
        return write_frames(copies, path)
    with ase.db.connect(path) as database:
        for copy in copies:
            known = {key: each for key, each in copy.arrays.items() if key in names.values()}
            database.write(copy, key_value_pairs=copy.info, data=known)
    return path


def one(path: Path, **keys: str) -> Recording:
    (found,) = recordings(path, Reading(keys=keys or None))
    return found


def check(found: Recording, frames: list[Atoms]) -> None:
    assert isinstance(found.result, Relaxation), found.result
    assert not found.damaged
    for step, each in zip(found.result.steps, frames, strict=True):
        assert step.energy == pytest.approx(each.calc.results["energy"], abs=1e-7)
        assert step.forces == pytest.approx(each.calc.results["forces"], abs=1e-7)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("energy", "forces"), NAMES)
def test_the_option_that_is_offered_reads_the_file(
    energy: str, forces: str, name: str, frames: list[Atoms], tmp_path: Path
) -> None:
    path = write_renamed(frames, tmp_path / name, energy=energy, forces=forces)
    refused = one(path).result
    assert isinstance(refused, ParentError)
    offered = re.search(r"in eV and eV/Å, say --keys (\S+?);", str(refused))
    assert offered is not None, refused
    keys = parse_label_keys(offered[1])
    assert keys == {"energy": energy, "forces": forces}
    check(one(path, **keys), frames)


def test_one_of_them_may_be_called_as_ase_does(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_renamed(frames, tmp_path / "run.extxyz", energy="energy", forces="dft_forces")
    refused = str(one(path).result)
    assert "has no forces (it has: energy, dft_forces); if" in refused
    assert "say --keys forces=dft_forces;" in refused
    check(one(path, forces="dft_forces"), frames)


def test_labels_of_several_methods_are_all_offered(frames: list[Atoms], tmp_path: Path) -> None:
    names = {"energy_1": "REF_energy", "energy_2": "MACE_energy"}
    names |= {"forces_1": "MACE_forces", "forces_2": "REF_forces"}
    refused = str(one(write_renamed(frames, tmp_path / "run.extxyz", **names)).result)
    for affix in ("REF", "MACE"):
        assert f"--keys energy={affix}_energy,forces={affix}_forces" in refused
    assert "REF_energy,forces=MACE" not in refused


def test_what_is_named_goes_before_what_ase_reads(frames: list[Atoms], tmp_path: Path) -> None:
    other = [each.copy() for each in frames]
    for each, copy in zip(frames, other, strict=True):
        copy.calc = each.calc.__class__(
            copy, energy=-1.0, free_energy=-2.0, forces=np.zeros((9, 3))
        )
        copy.info["REF_energy"] = each.calc.results["energy"]
        copy.arrays["REF_forces"] = each.calc.results["forces"]
    path = write_frames(other, tmp_path / "run.extxyz")
    found = one(path, energy="REF_energy", forces="REF_forces")
    check(found, frames)
    assert isinstance(found.result, Relaxation)
    assert all(step.label.free_energy is None for step in found.result.labelled if step.label)
    both = one(path, energy="REF_energy", free_energy="free_energy").result
    assert isinstance(both, Relaxation)
    assert both.labelled[0].force_energy == -2.0


@pytest.mark.parametrize(
    "names",
    [
        {"energy": "energy_per_atom", "forces": "REF_forces"},
        {"energy": "formation_energy", "forces": "REF_forces"},
        {"energy": "REF_energy", "forces": "velocities"},
        {"energy": "REF_energy", "forces": "force_std"},
    ],
)
def test_what_is_no_label_is_not_offered(
    names: dict[str, str], frames: list[Atoms], tmp_path: Path
) -> None:
    refused = str(one(write_renamed(frames, tmp_path / "run.extxyz", **names)).result)
    assert f"has no energy (it has: {names['energy']}, {names['forces']})" in refused
    assert "--keys" not in refused


@pytest.mark.parametrize("name", ["run.extxyz", "run.db"])
def test_a_key_that_nothing_has_refuses(name: str, frames: list[Atoms], tmp_path: Path) -> None:
    path = write_renamed(frames, tmp_path / name, energy="REF_energy", forces="REF_forces")
    words = r"the energy is called 'REF_enrgy' but nothing in .* is; it has: .*REF_energy, REF_for"
    with pytest.raises(ValueError, match=words):
        one(path, energy="REF_enrgy", forces="REF_forces")


def test_a_frame_that_lacks_the_key_is_told(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_renamed(frames, tmp_path / "a.extxyz", energy="REF_energy", forces="REF_forces")
    text = path.read_text()
    path.write_text(text.replace("REF_energy", "lost", 1))
    found = one(path, energy="REF_energy", forces="REF_forces")
    (words,) = found.damaged
    assert "a.extxyz frame 0 (line 1) has no 'REF_energy' for the energy (it has: lost" in words
    assert isinstance(found.result, Relaxation)
    assert len(found.result.steps) == len(frames) - 1


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("REF_energy", "'REF_energy' but must be like energy=REF_energy,forces=REF_forces"),
        ("energy=", "'energy=' but must be like"),
        ("energy=a,energy=b", "'energy=a,energy=b' but must be like"),
        ("", "'' but must be like"),
    ],
)
def test_keys_of_another_form_refuses(words: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_label_keys(words)


def test_keys_of_other_quantities_refuses() -> None:
    with pytest.raises(ValueError, match="'stress' is called but it can say that of energy, for"):
        Reading(keys={"stress": "virials"})
    with pytest.raises(ValueError, match="the energy ' ' but must say a name"):
        Reading(keys={"energy": " "})


def test_a_maker_remembers_the_keys(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_renamed(frames, tmp_path / "run.db", energy="REF_energy", forces="REF_forces")
    keys = {"energy": "REF_energy", "forces": "REF_forces"}
    maker = ImportedRelaxMaker(path=str(path), keys=keys)
    assert MontyDecoder().decode(MontyEncoder().encode(maker)) == maker
    start = ase.io.read(path, index=0)
    assert isinstance(start, Atoms)
    expected = read_existing(path, Reading(keys=keys)).energy
    assert maker.read(start).energy == expected
    assert expected == pytest.approx(frames[-1].calc.results["energy"])
