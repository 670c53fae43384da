"""The stand-in's faults, clocks and buffers."""

import signal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pymatgen.io.vasp import Outcar, Vasprun

from tests.fakes.vasp_runs import (
    INTERACTIVE,
    STEP,
    Talk,
    count_cycles,
    fractional,
    prepare,
    read_steps,
    rows,
    run,
    shaken,
)
from tests.systems import oxygen_on_copper

pytestmark = pytest.mark.slow

STATIC = "NSW = 0\n"
PROMPT = "reading from stdin\n"


@pytest.fixture
def slab(tmp_path: Path) -> Path:
    return prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)


def given(count: int) -> str:
    return "".join(rows(fractional(shaken(index))) for index in range(count))


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("die0", 0, ""),
        ("die", 1, "forrtl: severe (174): SIGSEGV"),
        ("kill", -signal.SIGKILL, ""),
        ("zpotrf", 1, ""),
    ],
)
def test_death_in_the_middle_of_a_step(slab: Path, fault: str, status: int, words: str) -> None:
    ended = run(slab, given(4), fault=f"{fault}@3")
    assert ended.status == status
    assert words in ended.err
    assert len(read_steps(ended.out)) == 2
    assert len(count_cycles(ended.out)) == 3  # the third has begun
    assert ("LAPACK: Routine ZPOTRF failed!" in ended.out) == (fault == "zpotrf")
    with pytest.raises(ElementTree.ParseError):
        ElementTree.parse(slab / "vasprun.xml")


def test_silence_lasts(slab: Path) -> None:
    with Talk(slab, fault="silent@2") as talk:
        talk.listen(PROMPT)
        talk.say(given(1))
        with pytest.raises(TimeoutError, match="only"):
            talk.listen(PROMPT, seconds=1.0)
        assert talk.process.poll() is None


def test_forces_that_are_not_numbers(slab: Path) -> None:
    ended = run(slab, given(3), fault="nan@2,stars@3")
    blocks = [found["forces"] for found in STEP.finditer(ended.out)]
    assert blocks[1] == ("NaN".rjust(14) * 3 + "\n") * 9
    assert blocks[2] == ("*" * 42 + "\n") * 9
    assert np.isfinite(np.array(blocks[3].split(), dtype=float)).all()
    assert Outcar(slab / "OUTCAR").final_energy is not None


def test_forces_of_an_atom_are_missing(slab: Path) -> None:
    steps = read_steps(run(slab, given(2), fault="atoms@2").out)
    assert [len(step.forces) for step in steps] == [9, 8, 9]


def test_an_answer_is_stale(slab: Path) -> None:
    first, second, third = read_steps(run(slab, given(2), fault="stale@2").out)
    assert (second.number, second.zero) == (first.number, first.zero)
    assert (second.forces == first.forces).all()
    assert (third.number, third.zero == first.zero) == (3, False)


@pytest.mark.filterwarnings("ignore::pymatgen.io.vasp.outputs.UnconvergedVASPWarning")
def test_cycles_do_not_converge(slab: Path) -> None:
    prepare(slab, oxygen_on_copper(), f"{STATIC}NELM = 20\n")
    ended = run(slab, fault="unconverged@1")
    assert count_cycles(ended.out) == [20]
    assert "electronic self-consistency was not achieved" in ended.out
    assert "aborting loop because EDIFF is reached" not in (slab / "OUTCAR").read_text()
    assert not Vasprun(slab / "vasprun.xml", parse_potcar_file=False).converged_electronic


def test_files_hold_other_positions(slab: Path) -> None:
    run(slab, given(1), fault="wrong_positions@2")
    steps = Vasprun(slab / "vasprun.xml", parse_potcar_file=False).ionic_steps
    off = [
        step["structure"].frac_coords - place
        for step, place in zip(steps, (fractional(shaken(0)),) * 2, strict=True)
    ]
    assert np.abs(off[1] - 0.01).max() < 1e-6


def test_files_are_truncated(slab: Path) -> None:
    ended = run(slab, given(2), fault="truncate@2")
    assert ended.status == 0
    assert len(read_steps(ended.out)) == 3
    assert ended.out.endswith(" writing wavefunctions\n")
    with pytest.raises(ElementTree.ParseError):
        ElementTree.parse(slab / "vasprun.xml")
    assert (slab / "OUTCAR").read_text().count("TOTAL-FORCE") == 1


def test_a_fault_happens_once(slab: Path, tmp_path: Path) -> None:
    mark = tmp_path / "happened"
    assert run(slab, given(1), fault="die@1", fault_file=str(mark)).status == 1
    assert mark.exists()
    assert run(slab, given(1), fault="die@1", fault_file=str(mark)).status == 0


def test_steps_are_counted_over_processes(slab: Path) -> None:
    prepare(slab, oxygen_on_copper(), STATIC)
    statuses = [run(slab, fault="die@2", counter=str(slab)).status for _ in range(3)]
    assert statuses == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fault", "hunger@1", "holds 'hunger@1' but each must be NAME@STEP"),
        ("fault", "die@0", "holds 'die@0' but each must be NAME@STEP"),
        ("buffer", "all", "is 'all' but must be block or files"),
        ("calculator", "lj", "is 'lj' but must be emt"),
        ("fault", "stale@1", "no step came before"),
    ],
)
def test_environment_refuses(slab: Path, name: str, value: str, words: str) -> None:
    ended = run(slab, **{name: value})
    assert ended.status == 1
    assert words in ended.err


def test_blocks_keep_the_prompt_back(slab: Path) -> None:
    with Talk(slab, buffer="block") as talk, pytest.raises(TimeoutError):
        talk.listen(PROMPT, seconds=1.5)
    assert (slab / "OUTCAR").stat().st_size % 4096 == 0
    assert (slab / "vasprun.xml").stat().st_size % 8192 == 0
    ended = run(slab, given(2), buffer="block")
    assert len(read_steps(ended.out)) == 3
    ElementTree.parse(slab / "vasprun.xml")


def test_blocks_in_files_alone(slab: Path) -> None:
    with Talk(slab, buffer="files") as talk:
        assert len(read_steps(talk.listen(PROMPT))) == 1
        assert (slab / "OUTCAR").stat().st_size % 4096 == 0
        assert (slab / "vasprun.xml").stat().st_size % 8192 == 0


def test_files_are_complete_at_the_prompt(slab: Path) -> None:
    with Talk(slab) as talk:
        talk.listen(PROMPT)
        assert "LOOP+" in (slab / "OUTCAR").read_text()
        assert (slab / "vasprun.xml").read_text().endswith("</calculation>\n")


def test_cycles_burn_time(slab: Path) -> None:
    prepare(slab, oxygen_on_copper(), STATIC)
    ended = run(slab, cycle_time="0.05")
    used = Outcar(slab / "OUTCAR").run_stats["Total CPU time used (sec)"]
    assert used is not None
    assert used > 0.05 * count_cycles(ended.out)[0]
