"""Labelled frames: where they come from and what belongs together."""

from __future__ import annotations

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCartesian

from finetuna_flows.errors import StructureError
from finetuna_flows.finetuning.dataset import LABELS, by_system, collect_frames, hold_out, spread
from finetuna_flows.geometry import free_components
from finetuna_flows.records import Frame
from tests.finetuning.copper_surfaces import copper_frames, frames_of, surfaces


def write(file: Path, frames: list[Frame]) -> Path:
    written = []
    for frame in frames:
        atoms = frame.atoms.copy()
        label = frame.label
        atoms.calc = SinglePointCalculator(atoms, energy=label.energy, forces=label.forces)
        written.append(atoms)
    file.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(file, written)
    return file


def assert_same(found: list[Frame], expected: list[Frame]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        # extxyz keeps eight digits
        np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-7)
        np.testing.assert_allclose(one.label.forces, other.label.forces, atol=1e-7)
        assert one.label.energy == pytest.approx(other.label.energy, abs=1e-9)
        assert one.atoms.calc is None
        np.testing.assert_array_equal(free_components(one.atoms), free_components(other.atoms))
        np.testing.assert_array_equal(one.atoms.get_tags(), other.atoms.get_tags())


def test_a_file_keeps_constraints_tags_and_forces_on_fixed_atoms(tmp_path: Path) -> None:
    atoms = surfaces()[0]
    atoms.set_constraint([*atoms.constraints, FixCartesian([7], (True, False, False))])
    frames = frames_of(atoms, 2)
    assert np.abs(frames[0].label.forces[~free_components(atoms)]).min() > 0
    assert_same(collect_frames([write(tmp_path / "one.extxyz", frames)]), frames)


def test_folders_are_searched_for_labels_and_no_file_is_read_twice(tmp_path: Path) -> None:
    one, other = frames_of(surfaces()[0], 2), frames_of(surfaces()[1], 1)
    write(tmp_path / "a" / "deep" / LABELS, one)
    second = write(tmp_path / "b" / LABELS, other)
    write(tmp_path / "b" / "relaxed.extxyz", other)
    sources: list[str | Path] = [tmp_path, str(second), f"some-host:{tmp_path / 'b'}"]
    assert_same(collect_frames(sources), one + other)


def test_a_compressed_file_is_the_same(tmp_path: Path) -> None:
    frames = frames_of(surfaces()[1], 2)
    file = write(tmp_path / "plain.extxyz", frames)
    packed = tmp_path / "packed.extxyz.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert_same(collect_frames([packed]), frames)


def test_frames_without_labels_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "half.extxyz", frames_of(surfaces()[0], 1))
    ase.io.write(file, surfaces()[0], append=True)
    with pytest.raises(StructureError, match=r"half.extxyz@1 has no energy and no forces; write"):
        collect_frames([file])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "nothing is not a file; name a trajectory"),
        ("empty", "empty holds no labels.extxyz; name a folder"),
        ("broken.extxyz", "broken.extxyz cannot be read as a trajectory"),
    ],
)
def test_other_paths_are_refused(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.extxyz").write_text("3\nnothing\nCu 0 0\n")
    with pytest.raises(StructureError, match=message):
        collect_frames([tmp_path / name])


def test_systems_are_told_apart_by_formula_cell_and_periodicity() -> None:
    frames = copper_frames(2)
    stretched = frames_of(surfaces()[0], 1)[0].atoms
    stretched.set_cell(stretched.cell.array * 1.01)
    periodic = frames_of(surfaces()[1], 1)[0].atoms
    periodic.pbc = True
    label = frames[0].label
    systems = by_system([*frames, Frame(stretched, label), Frame(periodic, label), frames[0]])
    names = ["Cu8 #1", "Cu8 #2", "Cu8 #3", "Cu12", "Cu31", "Cu8 #4", "Cu8 #5"]
    assert [system.name for system in systems] == names
    assert [len(system.frames) for system in systems] == [3, 2, 2, 2, 2, 1, 1]


def test_neither_order_nor_geometry_makes_another_system() -> None:
    frame = frames_of(surfaces()[0], 1)[0]
    turned: Atoms = frame.atoms[::-1]
    turned.positions[0] += 1.0
    turned.set_cell(turned.cell.array + 1e-4)
    assert len(by_system([frame, Frame(turned, frame.label)])) == 1


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 1), (0.4, 2), (0.99, 4)])
def test_some_systems_are_held_out_but_never_all(fraction: float, count: int) -> None:
    systems = by_system(copper_frames(1))
    drawn = {hold_out(systems, fraction, seed) for seed in range(20)}
    assert {len(each) for each in drawn} == {count}
    assert len(drawn) > 1
    assert hold_out(systems, fraction, 3) == hold_out(systems, fraction, 3)


def test_one_system_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"frames of 1 system\(s\) but at least 2 are needed"):
        hold_out(by_system(frames_of(surfaces()[0], 3)), 0.2, 0)


def test_spread_frames_hold_the_first_and_the_last() -> None:
    frames = frames_of(surfaces()[0], 7)
    assert spread(frames, 3) == [frames[0], frames[3], frames[6]]
    assert spread(frames, 20) == frames
    assert spread(frames, 1) == [frames[0]]
