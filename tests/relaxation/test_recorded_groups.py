"""Several relaxations in one file, and starting structures from another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import chain, zip_longest
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import free_components
from finetuna_flows.reasons import Integrity, QueryReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.groups import parse_keys
from finetuna_flows.relaxation.recorded.layout import LEVEL
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.recorded.recording import Reading, Recording
from finetuna_flows.relaxation.recorded.starts import StartingStructures
from tests.relaxation.recorded_files import frame, relaxed_by_ase, write_frames, write_learner
from tests.relaxation.vasp_runs import relax
from tests.systems import oxygen_on_copper


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()[:6]


def kept(found: Recording) -> Relaxation:
    assert isinstance(found.result, Relaxation)
    return found.result


def called(frames: list[Atoms], **labels: object) -> list[Atoms]:
    """Copies with labels in their info."""
    copies = [
        frame(each, each.get_potential_energy(), each.get_forces(apply_constraint=False))
        for each in frames
    ]
    for copy in copies:
        copy.info.update(labels)
    return copies


def labels(path: Path, by: str | None = None) -> list[tuple[str, str, int]]:
    reading = Reading(by=parse_keys(by) if by else None)
    found = list(recordings(path, reading))
    return [(each.system, each.method, kept(each).parent_calls) for each in found]


@pytest.mark.parametrize("name", ["many.traj", "many.extxyz.gz", "many.db", "many.json"])
@pytest.mark.parametrize("key", ["sid", "system"])
def test_frames_of_one_system_and_method_belong_together(
    name: str, key: str, frames: list[Atoms], tmp_path: Path
) -> None:
    """Also where they alternate."""
    cg = called(frames, **{key: "first"}, method="CG")
    bfgs = called(frames[:4], **{key: "first"}, method="BFGS")
    other = called(frames[:2], **{key: "other"}, method="CG")
    mixed = [each for each in chain(*zip_longest(cg, bfgs, other)) if each is not None]
    path = write_frames(mixed, tmp_path / name)
    expected = [("first", "CG", 6), ("first", "BFGS", 4), ("other", "CG", 2)]
    assert labels(path) == expected
    assert labels(path, f"{key},method") == expected
    (chosen,) = recordings(path, Reading(only=("first", "BFGS")))
    assert chosen.group == ("first", "BFGS")
    assert kept(chosen).method == "BFGS"
    assert kept(chosen).start.info == {"system": "first"}


def test_keys_of_the_users_own(frames: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / "mine.extxyz"
    write_frames([*called(frames, slab=1, way="a"), *called(frames[:3], slab=2, way="a")], path)
    assert labels(path) == [("mine", "imported", 9)]
    assert labels(path, "slab") == [("1", "imported", 6), ("2", "imported", 3)]
    assert labels(path, "slab,way") == [("1", "a", 6), ("2", "a", 3)]
    assert labels(path, ",slab") == [("mine", "1", 6), ("mine", "2", 3)]
    with pytest.raises(ValueError, match=r"frame 0 .* has no key 'facet' .*; it has .*slab, way"):
        labels(path, "facet")


def test_labels_are_recognised_only_where_all_frames_have_them(
    frames: list[Atoms], tmp_path: Path
) -> None:
    path = tmp_path / "some.traj"
    write_frames([*called(frames, sid="a", method="CG"), *called(frames[:2], sid="b")], path)
    assert labels(path) == [("some", "imported", 8)]
    assert labels(path, "sid") == [("a", "imported", 6), ("b", "imported", 2)]


@pytest.mark.parametrize("words", ["", ",", "a,b,c"])
def test_keys_refuse_other_words(words: str) -> None:
    with pytest.raises(ValueError, match="must be like sid,method"):
        parse_keys(words)


def test_labels_refuse_to_be_said_twice(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(called(frames, sid="a", method="CG"), tmp_path / "run.traj")
    with pytest.raises(ValueError, match=r"--method is 'BFGS' but .* says it itself \('CG'"):
        list(recordings(path, Reading(method="BFGS")))
    with pytest.raises(ValueError, match="--system is 'b' but"):
        list(recordings(path, Reading(system="b")))


def test_a_damaged_frame_is_told_with_its_own_relaxation(
    frames: list[Atoms], tmp_path: Path
) -> None:
    spoilt = called(frames, sid="b", method="CG")
    spoilt[1].calc.results["forces"][:] = np.inf
    path = tmp_path / "many.traj"
    write_frames([*called(frames, sid="a", method="CG"), *spoilt], path)
    one, other = recordings(path)
    assert one.damaged == ()
    assert len(other.damaged) == 1
    assert other.damaged[0].startswith("many.traj frame 7: the parent returned forces")
    assert (kept(other).parent_calls, kept(other).lost_calls) == (6, 1)


def in_layout(frames: list[Atoms], folder: Path) -> Path:
    """Two systems; of the second there is no warm start, and one file is damaged."""
    network = called(frames[:3])
    for each in network:
        each.calc.name = "ocpcalculator"
    results = folder / "results"
    names = ("ASE_BFGS", "GemNet_Warm_Start", "K-steps_Online_Learner")
    for made in (folder / "benchmark_systems", *(results / name for name in names)):
        made.mkdir(parents=True)
    write_frames(frames, folder / "benchmark_systems" / "random77.traj")
    write_frames(frames[:5], results / "ASE_BFGS" / "ASE_BFGS_77.traj")
    (results / "ASE_BFGS" / "ASE_BFGS_9.traj").write_bytes(b"- of Ulm, and no more")
    write_frames(network, results / "GemNet_Warm_Start" / "GWS_GemNet_77.traj")
    write_frames(frames[3:], results / "GemNet_Warm_Start" / "GWS_VASP_77.traj")
    write_learner(frames, results / names[2] / "K_steps_9.db", every=2)
    (results / "ASE_BFGS" / "notes.txt").write_text("by hand")
    return folder


def test_the_layout_of_the_authors(
    frames: list[Atoms], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = {(each.system, each.method): each for each in recordings(in_layout(frames, tmp_path))}
    assert list(found) == [
        ("random9", "ASE_BFGS"),
        ("random9", "K_steps"),
        ("random77", "VASP_CG"),
        ("random77", "ASE_BFGS"),
        ("random77", "GemNet_Warm_Start"),
    ]
    broken = found.pop(("random9", "ASE_BFGS"))
    assert "ASE_BFGS_9.traj is damaged" in str(broken.result)
    assert "notes.txt is no file of the authors' layout" in caplog.text
    assert {kept(each).level for each in found.values()} == {LEVEL}
    warm = kept(found["random77", "GemNet_Warm_Start"])
    assert [step.label is not None for step in warm.steps] == [False] * 3 + [True] * 3
    assert [step.decision.query for step in warm.steps] == [False] * 3 + [True] * 3
    assert warm.start.positions == pytest.approx(frames[0].positions)
    steps = kept(found["random9", "K_steps"])
    assert steps.parent_calls == 3
    assert steps.labelled[0].decision.reasons == (QueryReason.RELAXED,)


def test_the_layout_refuses_labels_and_empty_folders(frames: list[Atoms], tmp_path: Path) -> None:
    folder = in_layout(frames, tmp_path / "whole")
    with pytest.raises(ValueError, match="leave --method, --by out"):
        list(recordings(folder, Reading(method="CG", by=("sid", ""))))
    shutil.rmtree(folder / "results")
    shutil.rmtree(folder / "benchmark_systems")
    (folder / "results").mkdir()
    with pytest.raises(ValueError, match=r"no file such as benchmark_systems/random123\.traj"):
        list(recordings(folder))


def test_the_layout_refuses_two_files_of_one_relaxation(
    frames: list[Atoms], tmp_path: Path
) -> None:
    folder = in_layout(frames, tmp_path)
    write_frames(frames, folder / "results" / "ASE_BFGS" / "ASE_BFGS_old_77.traj")
    (found,) = recordings(folder, Reading(only=("random77", "ASE_BFGS")))
    assert isinstance(found.result, ValueError)
    assert "are both of random77; take one of them away" in str(found.result)


def tagged(frames: list[Atoms], **info: object) -> Atoms:
    start: Atoms = frames[0].copy()
    start.info = dict(info)
    return start


def untagged(frames: list[Atoms]) -> list[Atoms]:
    bare = called(frames)
    for each in bare:
        each.set_tags(0)
        each.set_constraint()
    return bare


def test_starts_are_found_by_geometry(frames: list[Atoms], tmp_path: Path) -> None:
    """In any order of atoms and any image; tags and constraints are the starting structure's."""
    path = write_frames(untagged(frames), tmp_path / "run.extxyz")
    order = np.random.default_rng(2).permutation(9)
    start = tagged(frames)[order]
    start.positions[4] += start.cell[1]
    moved = tagged(frames)
    moved.positions[8] += 0.01
    (found,) = recordings(path, starts=StartingStructures([moved, start]))
    read = kept(found)
    assert read.start.positions == pytest.approx(start.positions)
    assert (free_components(read.start) == free_components(start)).all()
    assert read.integrity is Integrity.INTACT
    assert read.labelled[2].forces == pytest.approx(
        frames[2].get_forces(apply_constraint=False)[order], abs=1e-7
    )
    assert read.labelled[2].positions[0] - start.positions[0] == pytest.approx(
        (frames[2].positions - frames[0].positions)[order][0], abs=1e-7
    )


def test_starts_of_vasps_own_files(tmp_path: Path) -> None:
    folder = relax(oxygen_on_copper(), tmp_path / "o_cu")
    (bare,) = recordings(folder)
    assert kept(bare).integrity is Integrity.NO_ADSORBATE
    (found,) = recordings(folder, starts=StartingStructures([oxygen_on_copper()]))
    assert kept(found).integrity is Integrity.INTACT
    assert kept(found).parent_calls == kept(bare).parent_calls
    assert found.first_key == bare.first_key


def test_starts_are_found_by_name_where_records_begin_later(
    frames: list[Atoms], tmp_path: Path
) -> None:
    path = write_frames(untagged(frames[3:]), tmp_path / "random5.traj")
    other = tagged(frames, sid="random6")
    starts = StartingStructures([other, tagged(frames, sid="random5")])
    (found,) = recordings(path, starts=starts)
    read = kept(found)
    assert read.start.positions == pytest.approx(frames[0].positions)
    assert read.labelled[0].positions == pytest.approx(frames[3].positions)
    assert read.start.info == {"system": "random5"}
    (without,) = recordings(path)
    assert without.first_key == found.first_key


def test_without_a_start_tags_stay_as_they_are(
    frames: list[Atoms], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_frames(untagged(frames[3:]), tmp_path / "run.traj")
    (found,) = recordings(path, starts=StartingStructures([tagged(frames)]))
    assert kept(found).integrity is Integrity.NO_ADSORBATE
    assert "run.traj frame 0: none of the starting structures lies there" in caplog.text


def test_starts_are_read_from_a_file(frames: list[Atoms], tmp_path: Path) -> None:
    path = tmp_path / "starts.extxyz"
    ase.io.write(path, [tagged(frames, system="run")])
    run = write_frames(untagged(frames), tmp_path / "run.traj")
    (found,) = recordings(run, starts=StartingStructures.read(path))
    assert kept(found).integrity is Integrity.INTACT
    path.write_text(path.read_text().replace("Cu ", "Qq "))
    with pytest.raises(ValueError, match="mend the starting structures first"):
        StartingStructures.read(path)
    with pytest.raises(ValueError, match="is not there"):
        StartingStructures.read(tmp_path / "none.extxyz")


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


@pytest.mark.parametrize(
    ("name", "share"), [("many.extxyz.gz", 0.98), ("many.extxyz", 0.9), ("many.traj", 0.9)]
)
def test_what_breaks_off_is_that_of_the_last_frame(
    name: str, share: float, frames: list[Atoms], tmp_path: Path
) -> None:
    many = [*called(frames, system="a", method="CG"), *called(frames, system="b", method="CG")]
    path = cut(write_frames(many, tmp_path / name), share)
    whole, broken = recordings(path)
    assert (whole.damaged, kept(whole).parent_calls) == ((), 6)
    assert broken.damaged
    assert 0 < kept(broken).parent_calls < 6
    (only,) = recordings(path, Reading(only=("a", "CG")))
    assert only.damaged == ()


def test_what_lies_between_is_that_of_its_neighbours(frames: list[Atoms], tmp_path: Path) -> None:
    """Lines are lost inside the first relaxation, then between the second and the third."""
    path = tmp_path / "many.extxyz"
    many = [called(frames, system=system, method="CG") for system in "abc"]
    write_frames([*chain(*many)], path)
    lines = path.read_text().splitlines()
    lines[3 * 11] = lines[12 * 11] = "nine"  # frames are eleven lines long
    path.write_text("\n".join(lines) + "\n")
    first, second, third = recordings(path)
    assert [each.damaged[0][:21] for each in (first, second, third)] == [
        "many.extxyz line 34 i",
        "many.extxyz line 133 ",
        "many.extxyz line 133 ",
    ]
    assert [len(each.damaged) for each in (first, second, third)] == [1, 1, 1]
    assert "may be where" not in first.damaged[0] + second.damaged[0]
    assert "may be where that of many.extxyz frame 11 (line 144) began" in third.damaged[0]
    assert [kept(each).parent_calls for each in (first, second, third)] == [5, 6, 5]


def test_none_of_which_it_can_be_told_whose_it_is(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(called(frames[:1], way="a"), tmp_path / "run.extxyz")
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(ParentError, match="cannot be told whose it is: so nothing is left of it"):
        labels(path, "way")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("method", lambda: Reading(method=" ")),
        ("system", lambda: Reading(system="")),
        ("level", lambda: Reading(level="")),
    ],
)
def test_words_that_say_nothing_are_refused(name: str, make: Callable[[], Reading]) -> None:
    with pytest.raises(ValueError, match=f"--{name} is ' ?' but must say something"):
        make()
