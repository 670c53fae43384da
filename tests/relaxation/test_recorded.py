"""Relaxations in files of ASE's come back as they were."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, FixCartesian, FixConstraint, FixedLine
from hypothesis import given, settings
from hypothesis import strategies as st

from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.reasons import Integrity, QueryReason, StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.recorded.recording import Reading, Recording
from tests.relaxation.recorded_files import frame, relaxed_by_ase, write_frames, write_learner
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper

FORMATS = ("run.traj", "run.extxyz", "run.extxyz.gz", "run.db", "run.json")
DIGITS = 1e-7  # extended XYZ is written with eight decimals


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()


def one(path: Path, reading: Reading | None = None) -> Relaxation:
    (found,) = recordings(path, reading)
    assert found.damaged == ()
    return relaxation(found)


def relaxation(found: Recording) -> Relaxation:
    if isinstance(found.result, Exception):
        raise found.result
    return found.result


def wrapped_into_cell(atoms: Atoms) -> Atoms:
    copy: Atoms = atoms.copy()
    copy.set_positions(atoms.get_positions(wrap=True), apply_constraint=False)
    return frame(copy, **atoms.calc.results)


@st.composite
def walks(draw: st.DrawFn) -> list[Atoms]:
    """A walk of a few atoms in an oblique cell, in steps of less than half of it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_atoms, n_frames = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    atoms = Atoms(
        rng.choice(["H", "C", "Cu", "Pt"], n_atoms),
        rng.uniform(-3, 12, (n_atoms, 3)),
        cell=np.diag([7.0, 8.0, 9.0]) + rng.uniform(-0.8, 0.8, (3, 3)),
        pbc=draw(st.sampled_from([True, (True, True, False), False])),
    )
    fixed = np.flatnonzero(rng.random(n_atoms) < 0.4)
    if len(fixed):
        atoms.set_constraint(FixAtoms(fixed))
    walk = []
    for _ in range(n_frames):
        scale = 10.0 ** rng.integers(-3, 2)
        forces, energy = rng.normal(0, scale, (n_atoms, 3)), float(rng.normal(-300, 50))
        free = {"free_energy": energy - 0.01} if draw(st.booleans()) else {}
        walk.append(frame(atoms, energy, forces, **free))
        moves = rng.normal(0, 0.5, (n_atoms, 3)).clip(-1, 1)
        atoms.set_positions(atoms.positions + moves, apply_constraint=False)
    return walk


@settings(max_examples=25, deadline=None)
@given(walk=walks(), wrapped=st.booleans(), name=st.sampled_from(FORMATS))
def test_what_is_written_is_read_back(
    walk: list[Atoms],
    wrapped: bool,
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    written = [wrapped_into_cell(each) for each in walk] if wrapped else walk
    read = one(write_frames(written, tmp_path_factory.mktemp("walk") / name))
    assert read.parent_calls == len(walk)
    assert (free_components(read.start) == free_components(walk[0])).all()
    assert read.start.symbols.get_chemical_formula() == walk[0].symbols.get_chemical_formula()
    images = read.start.positions - walk[0].positions  # whole cells, if it was wrapped
    for step, each in zip(read.steps, walk, strict=True):
        label, said = step.label, each.calc.results
        assert label is not None
        assert label.energy == pytest.approx(said["energy"], abs=DIGITS)
        assert label.forces == pytest.approx(said["forces"], abs=DIGITS)
        if "free_energy" in said:
            assert label.free_energy == pytest.approx(said["free_energy"], abs=DIGITS)
        assert step.positions - images == pytest.approx(each.positions, abs=10 * DIGITS)
        assert step.decision.reasons == (QueryReason.PARENT_DRIVEN,)


@pytest.mark.parametrize("name", FORMATS)
def test_a_relaxation_of_ases(name: str, frames: list[Atoms], tmp_path: Path) -> None:
    (found,) = recordings(write_frames(frames, tmp_path / name))
    read = relaxation(found)
    assert (found.system, found.method) == ("run", "imported")
    assert read.start.info == {"system": "run"}
    assert read.converged
    assert read.fmax_threshold == 0.03
    largest = np.linalg.norm(frames[-1].get_forces(), axis=1).max()
    assert read.fmax == pytest.approx(largest, abs=DIGITS)
    assert read.energy == pytest.approx(frames[-1].get_potential_energy(), abs=DIGITS)
    assert np.abs(read.labelled[0].forces[:4]).max() > 0.1  # raw, on the fixed atoms too


def test_it_ends_where_the_threshold_is_reached(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.traj")
    reached = [np.linalg.norm(each.get_forces(), axis=1).max() for each in frames]
    first = next(i for i, force in enumerate(reached) if force <= 0.3)
    assert 0 < first < len(frames) - 1
    read = one(path, Reading(fmax=0.3))
    assert read.parent_calls == first + 1
    assert read.converged
    assert one(path).parent_calls == len(frames)


def test_what_does_not_converge_says_so(frames: list[Atoms], tmp_path: Path) -> None:
    read = one(write_frames(frames[:3], tmp_path / "run.traj"))
    assert read.stop_reason is StopReason.NOT_RECORDED
    assert not read.converged


def test_tags_of_the_file_say_what_is_watched(frames: list[Atoms], tmp_path: Path) -> None:
    away = frames[-1].copy()
    away.positions[8, 2] += 4.0
    gone = frame(away, 0.0, np.zeros((9, 3)))
    assert one(write_frames(frames, tmp_path / "on.db")).integrity is Integrity.INTACT
    read = one(write_frames([*frames, gone], tmp_path / "off.extxyz"))
    assert read.integrity is Integrity.DESORBED


@pytest.mark.parametrize("name", ["run.traj", "run.db", "run.json"])
@pytest.mark.parametrize(
    "constraint", [FixCartesian([8], mask=[True, True, False]), FixedLine([8], (0, 0, 1))]
)
def test_partly_fixed_atoms_are_free_where_they_are(
    constraint: FixConstraint, name: str, tmp_path: Path
) -> None:
    atoms = oxygen_on_copper()
    atoms.set_constraint(constraint)
    forces = np.full((9, 3), 0.01)
    forces[8] = [5.0, 5.0, 0.02]
    atoms.info.clear()
    read = one(write_frames([frame(atoms, -1.0, forces)], tmp_path / name))
    assert {type(each) for each in read.start.constraints} == {FixCartesian}
    assert read.fmax == pytest.approx(0.02)  # atom 8 along z; the others have 0.0173


@pytest.mark.parametrize("key", ["free_energy", "free_energy_vasp"])
def test_the_free_energy_may_lie_in_the_info(key: str, frames: list[Atoms], tmp_path: Path) -> None:
    copy = frame(frames[0], -1.5, frames[0].get_forces())
    copy.info[key] = -1.75
    read = one(write_frames([copy], tmp_path / "run.extxyz"))
    assert read.labelled[0].force_energy == -1.75
    assert read.energy == -1.5


def test_a_level_is_one_of_the_file_unless_it_is_said(frames: list[Atoms], tmp_path: Path) -> None:
    one_file = write_frames(frames, tmp_path / "one.traj")
    other = write_frames(frames, tmp_path / "other.extxyz")
    assert one(one_file).level == f"unknown parent, settings not recorded in {one_file}"
    assert one(one_file).level != one(other).level
    assert one(one_file, Reading(level="EMT")).level == one(other, Reading(level="EMT")).level


def test_all_free_is_told_where_the_file_fixes_nothing(
    frames: list[Atoms], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = frame(frames[0], -1.0, frames[0].get_forces(apply_constraint=False))
    bare.set_constraint()
    one(write_frames([bare], tmp_path / "run.extxyz"))
    assert "says of no atom that it is fixed; all count as free" in caplog.text
    caplog.clear()
    water = molecule("H2O")
    one(write_frames([frame(water, -1.0, np.zeros((3, 3)))], tmp_path / "water.traj"))
    assert not caplog.records


def test_rows_of_the_online_learner(frames: list[Atoms], tmp_path: Path) -> None:
    read = one(write_learner(frames, tmp_path / "learner.db", every=3))
    assert len(read.steps) == len(frames)
    assert read.parent_calls == len(frames) // 3
    assert [step.index for step in read.labelled] == list(range(2, len(frames), 3))
    for step, each in zip(read.steps, frames, strict=True):
        assert step.prediction is not None
        assert step.prediction.energy == pytest.approx(each.get_potential_energy() + 300.0)
        assert step.positions == pytest.approx(each.positions)
    asked = read.labelled[0]
    assert asked.decision.reasons == (QueryReason.RELAXED,)
    assert asked.parent_time == 1763.0
    assert asked.fit is not None
    assert asked.fit.force_rmse_before == pytest.approx(0.1 / math.sqrt(3), abs=DIGITS)
    assert asked.fit.force_rmse_after == pytest.approx(0.05 / math.sqrt(3), abs=DIGITS)
    assert sum(step.tuning_time for step in read.steps) == 194.0 * read.parent_calls
    assert read.labelled[0].forces == pytest.approx(
        frames[2].get_forces(apply_constraint=False), abs=DIGITS
    )


def test_what_vasp_left_is_read_as_before(tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "o_cu")
    (found,) = recordings(folder)
    assert (found.system, found.method) == ("o_cu", "VASP CG")
    assert relaxation(found).level.startswith("stand-in for VASP RPBE")
    (found,) = recordings(folder / "OUTCAR", Reading(system="mine", level="words"))
    assert (found.system, relaxation(found).level) == ("mine", "words")
    with pytest.raises(ValueError, match="leave --method and --by out"):
        list(recordings(folder, Reading(method="CG")))


def test_a_structure_gives_order_images_and_tags(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.traj")
    order = np.random.default_rng(1).permutation(9)
    like = frames[0][order]
    like.positions[0] += like.cell[0] - like.cell[1]
    like.set_tags(np.where(order == 8, 2, 0))
    like.info["system"] = "mine"
    (found,) = recordings(path, like=like)
    read = relaxation(found)
    assert read.start.positions == pytest.approx(like.positions)
    assert read.start.info == like.info
    assert read.integrity is Integrity.INTACT
    truth = one(path)
    for mine, theirs in zip(read.steps, truth.steps, strict=True):
        assert mine.forces == pytest.approx(theirs.forces[order])
    assert read.final.positions - like.positions == pytest.approx(
        (truth.final.positions - truth.start.positions)[order]
    )
    like.positions[3] += 0.5
    (found,) = recordings(path, like=like)
    assert isinstance(found.result, StructureError)
    assert "name the calculation that started from it" in str(found.result)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.traj", b"Dear diary", "begins with b'Dear diary', so it is no ASE trajectory"),
        ("run.db", b"Dear diary", "so it is no ASE database"),
        ("run.xyz", b"Dear diary", "so it is no .extended. XYZ"),
        ("run.xyz.gz", b"Dear diary", "cannot be opened: Not a gzipped file"),
        ("run.txt", b"Dear diary", "is of no kind that is known here; name what VASP left"),
        ("run.traj", b"", "is empty"),
        ("run.json", b'{"a": 1}', "is no database of ASE's"),
    ],
)
def test_recordings_refuse_what_is_none(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        list(recordings(tmp_path / name))


def test_recordings_refuse_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "run.traj", tmp_path / "run.db", tmp_path / "run"):
        with pytest.raises(ValueError, match="is not there; name what VASP left"):
            list(recordings(path))
    assert not list(tmp_path.iterdir())  # ASE makes a database where there is none
    with pytest.raises(ValueError, match=r"holds no vasprun\.xml and no OUTCAR, no benchmark"):
        list(recordings(tmp_path))


def test_recordings_refuse_another_database_and_leave_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is no database of ASE's: no such table: systems"):
        list(recordings(path))
    assert path.read_bytes() == before


def test_geometries_without_energies_are_no_relaxation(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "POSCAR", oxygen_on_copper(), format="vasp")
    (found,) = recordings(tmp_path / "POSCAR")
    assert isinstance(found.result, ParentError)
    assert "POSCAR frame 0 has no energy (it has: nothing)" in str(found.result)
