"""What is damaged is named by file and place, and all else is kept."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.trajectory import Trajectory

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.recorded.recording import Recording
from tests.relaxation.recorded_files import frame, relaxed_by_ase, write_frames, write_learner

FRAME = 11  # lines: the number of atoms, the comment, nine atoms


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    return relaxed_by_ase()[:8]


def kept(found: Recording) -> Relaxation:
    assert isinstance(found.result, Relaxation)
    return found.result


def energies(found: Recording) -> list[float]:
    return [step.energy for step in kept(found).steps]


def without(frames: list[Atoms], *gone: int) -> object:
    return pytest.approx(
        [each.get_potential_energy() for i, each in enumerate(frames) if i not in gone], abs=1e-7
    )


def replaced(line: int, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:line], *([new] if new else []), *lines[line + 1 :]]


@pytest.mark.parametrize(
    ("spoil", "gone", "words"),
    [
        (
            replaced(3 * FRAME + 4, "Cu 1.0 2.0 x"),
            [3],
            r"run\.extxyz frame 3 \(line 34\) cannot be read at line 38, 'Cu 1\.0 2\.0 x'",
        ),
        (
            replaced(3 * FRAME + 4, ""),
            [3],
            r"run\.extxyz frame 3 \(line 34\) has 8 lines of atoms but announces 9",
        ),
        (
            replaced(3 * FRAME, "nine"),
            [3],
            r"run\.extxyz line 34: 'nine' begins no frame, which is a line with the number",
        ),
        (
            replaced(4 * FRAME, f"Cu 0 0 0\n{9}"),
            [],
            r"run\.extxyz line 45: 'Cu 0 0 0' begins no frame",
        ),
        (
            lambda lines: lines[: 7 * FRAME + 5],
            [7],
            r"run\.extxyz frame 7 \(line 78\) has 3 lines of atoms but announces 9",
        ),
        (
            lambda lines: lines[: 7 * FRAME + 1],
            [7],
            r"run\.extxyz frame 7 \(line 78\) has 0 lines of atoms but announces 9",
        ),
        (
            lambda lines: [re.sub(r"-?\d+\.\d+$", "nan", line) if i == 4 else line
                           for i, line in enumerate(lines)],
            [0],
            r"frame 0 \(line 1\): the parent returned forces that are not finite",
        ),
        (
            lambda lines: [line.replace("energy=", "other=") if i == FRAME + 1 else line
                           for i, line in enumerate(lines)],
            [1],
            r"frame 1 \(line 12\) has no energy \(it has: forces, other\)",
        ),
        (
            lambda lines: [line.replace("Cu ", "Qq ") if i == 2 * FRAME + 2 else line
                           for i, line in enumerate(lines)],
            [2],
            r"frame 2 \(line 23\) cannot be read: .*Qq",
        ),
    ],
)  # fmt: skip
def test_frames_of_extended_xyz(
    spoil: Callable[[list[str]], list[str]],
    gone: list[int],
    words: str,
    frames: list[Atoms],
    tmp_path: Path,
) -> None:
    path = write_frames(frames, tmp_path / "run.extxyz")
    path.write_text("\n".join(spoil(path.read_text().splitlines())) + "\n")
    (found,) = recordings(path)
    assert energies(found) == without(frames, *gone)
    assert len(found.damaged) == 1
    assert re.search(words, found.damaged[0])


def test_an_archive_that_breaks_off(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.extxyz.gz")
    data = path.read_bytes()
    path.write_bytes(data[: 3 * len(data) // 4])
    (found,) = recordings(path)
    count = len(kept(found).steps)
    assert 0 < count < len(frames)
    assert energies(found) == without(frames[:count])
    assert found.damaged[0].startswith("run.extxyz.gz breaks off: Compressed file ended before")


@pytest.mark.parametrize("count", [8, 60])
@pytest.mark.parametrize("share", [0.15, 0.35, 0.6, 0.85, 0.999])
def test_a_trajectory_that_breaks_off(
    count: int, share: float, frames: list[Atoms], tmp_path: Path
) -> None:
    """All frames that lie before the end are kept; of sixty ASE loses all if its table is lost."""
    path, sizes = tmp_path / "run.traj", []
    with Trajectory(path, "w") as trajectory:
        for number in range(count):
            trajectory.write(frames[number % 8])
            sizes.append(path.stat().st_size)
    end = int(share * sizes[-1])
    path.write_bytes(path.read_bytes()[:end])
    (found,) = recordings(path)
    # a frame is whole before its entry in the table, which may lie behind it, is
    whole = sum(size <= end for size in sizes)
    assert whole <= len(kept(found).steps) <= whole + 1
    assert energies(found) == without([frames[i % 8] for i in range(len(kept(found).steps))])
    assert found.damaged
    assert "run.traj" in found.damaged[0]


def test_a_trajectory_without_a_whole_frame(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.traj")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ParentError, match=r"run\.traj is damaged, so that ASE cannot open it"):
        list(recordings(path))


def test_a_trajectory_with_garbage_inside(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.traj")
    data = bytearray(path.read_bytes())
    place = [match.start() for match in re.finditer(rb'\{"pbc', data)][3]  # the first has none
    data[place : place + 30] = b"\xff" * 30
    path.write_bytes(data)
    (found,) = recordings(path)
    assert energies(found) == without(frames, 4)
    assert re.match(r"run\.traj frame 4 is damaged: ", found.damaged[0])
    assert len(found.damaged) == 1


def test_rows_of_a_database(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE systems SET forces = x'0011' WHERE id = 2")
        connection.execute("UPDATE systems SET positions = x'00' WHERE id = 3")
        connection.execute("UPDATE systems SET key_value_pairs = '{\"a' WHERE id = 5")
        connection.execute("UPDATE systems SET energy = NULL WHERE id = 6")
        connection.execute("DELETE FROM systems WHERE id = 7")
        connection.commit()
    (found,) = recordings(path)
    assert energies(found) == without(frames, 1, 2, 4, 5, 6)
    assert [words.split()[2] for words in found.damaged] == ["2", "3", "5", "6"]
    assert "run.db row 6 has no energy" in found.damaged[3]


def test_a_database_that_breaks_off(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames(frames, tmp_path / "run.json")
    path.write_text(path.read_text()[:-300])
    with pytest.raises(ParentError, match=r"run\.json cannot be read before its first row"):
        list(recordings(path))
    path = write_frames(frames * 5, tmp_path / "run.db")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ParentError, match=r"run\.db is damaged: database disk image is malformed"):
        list(recordings(path))


def test_other_atoms_and_another_cell(frames: list[Atoms], tmp_path: Path) -> None:
    forces = frames[0].get_forces()
    wider, other, mixed = (each.copy() for each in frames[2:5])
    wider.set_cell(wider.cell * 1.01)
    other.numbers[8] = 7
    mixed = mixed[::-1]
    odd = [frame(each, -1.0, forces) for each in (wider, other, mixed)]
    path = write_frames([*frames[:2], *odd, *frames[5:]], tmp_path / "run.traj")
    (found,) = recordings(path)
    assert energies(found) == without(frames, 2, 3, 4)
    assert re.match(r"run\.traj frame 2 has another cell .* by 0\.1\d+ Å", found.damaged[0])
    assert "frame 3 holds the atoms Cu8N but the first geometry Cu8O" in found.damaged[1]
    assert "frame 4 holds the same atoms in another order" in found.damaged[2]


def test_what_changes_all_the_time_is_no_relaxation(frames: list[Atoms], tmp_path: Path) -> None:
    changing = [each.copy() for each in frames]
    for number, each in enumerate(changing):
        each.set_cell(each.cell * (1 + 0.001 * number))
    path = tmp_path / "run.traj"
    write_frames([frame(each, -1.0, np.zeros((9, 3))) for each in changing], path)
    (found,) = recordings(path)
    assert isinstance(found.result, ValueError)
    assert "and so do 7 of 8; tell the relaxations in one file apart" in str(found.result)


NUMBERS = " ".join(["0.1"] * 26)


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("parent_forces", f"[{NUMBERS}]", "`parent_forces` has 26 numbers but 9 atoms need 27"),
        ("parent_forces", f"[[{NUMBERS} x]]", "`parent_forces` cannot be read"),
        ("parent_forces", "[[ 0.1 0.1 0.1]\n ...\n [0.1 0.1 0.1]]", "`parent_forces` is cut by"),
        ("parent_forces", f"[{NUMBERS} nan]", "the parent returned forces that are not finite"),
        ("parent_energy", "none", "`parent_energy` is 'none', no number"),
    ],
)
def test_rows_of_the_online_learner(
    column: str, text: str, words: str, frames: list[Atoms], tmp_path: Path
) -> None:
    """The label of row 6 is damaged: its prediction is kept, and so is the label of row 3."""
    path = write_learner(frames, tmp_path / "learner.db", every=3)
    spoil(path, 6, column, text)
    (found,) = recordings(path)
    read = kept(found)
    assert len(read.steps) == 8
    assert [step.index for step in read.labelled] == [2]
    assert len(found.damaged) == 1
    assert re.match(rf"learner\.db row 6:? .*{re.escape(words)}", found.damaged[0])


def test_a_label_is_kept_where_the_prediction_or_the_tuning_is_damaged(
    frames: list[Atoms], tmp_path: Path
) -> None:
    path = write_learner(frames, tmp_path / "learner.db", every=3)
    spoil(path, 3, "ml_forces", "[0.1")
    spoil(path, 6, "retrained_forces", "[0.1")
    spoil(path, 7, "ml_forces", "[0.1")
    (found,) = recordings(path)
    read = kept(found)
    assert [step.index for step in read.labelled] == [2, 5]
    assert len(read.steps) == 7  # of row 7 nothing is left
    assert read.labelled[0].prediction is None
    assert read.labelled[1].prediction is not None
    assert [step.fit for step in read.labelled] == [None, None]
    assert [words.split(":")[0] for words in found.damaged] == [
        f"learner.db row {number}" for number in (3, 6, 7)
    ]


def spoil(path: Path, row: int, column: str, text: str) -> None:
    """Write what ASE would not, since it looks like a number."""
    with closing(sqlite3.connect(path)) as connection:
        ((old,),) = connection.execute(f"SELECT key_value_pairs FROM systems WHERE id = {row}")
        pairs = {**json.loads(old), column: text}
        new = json.dumps(pairs)
        connection.execute("UPDATE systems SET key_value_pairs = ? WHERE id = ?", (new, row))
        connection.commit()


@pytest.mark.parametrize("name", ["run.traj", "run.extxyz", "run.db"])
def test_a_start_that_is_lost_is_told(name: str, frames: list[Atoms], tmp_path: Path) -> None:
    bad = [frame(each, -1.0, np.full((9, 3), np.inf)) for each in (*frames[:2], frames[4])]
    path = write_frames([*bad[:2], *frames[2:4], bad[2], *frames[5:]], tmp_path / name)
    (found,) = recordings(path)
    assert energies(found) == without(frames, 0, 1, 4)
    began = [re.search(r"; so what is left begins at (.*)", words) for words in found.damaged]
    assert [match is not None for match in began] == [False, True, False]
    assert began[1] is not None
    assert began[1][1].startswith({"run.db": "run.db row 3"}.get(name, f"{name} frame 2"))


def test_nothing_left(frames: list[Atoms], tmp_path: Path) -> None:
    path = write_frames([frame(frames[0], -1.0, np.full((9, 3), np.nan))], tmp_path / "run.traj")
    (found,) = recordings(path)
    assert isinstance(found.result, FinetunaError)
    assert "not finite numbers; so nothing is left of it" in str(found.result)
    assert len(found.damaged) == 1


@pytest.mark.parametrize("part", ["positions", "forces"])
def test_numbers_that_no_structure_has_are_told(
    part: str, frames: list[Atoms], tmp_path: Path
) -> None:
    """As a damaged byte of an exponent leaves them: finite, but their squares are not."""
    images = [
        frame(each, each.get_potential_energy(), each.get_forces(apply_constraint=False).copy())
        for each in frames
    ]
    if part == "positions":
        images[3].positions[0, 0] = 1e200
        images[3].calc.atoms = images[3].copy()
    else:
        images[3].calc.results["forces"][0, 0] = 1e200
    path = write_frames(images, tmp_path / "run.traj")
    (found,) = recordings(path)
    assert energies(found) == without(frames, 3)
    (told,) = found.damaged
    assert "beyond 1e+09" in told
