"""The stand-in's conversation over stdin: both dialects, all endings, beside a real one."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest

from tests.fakes.vasp_runs import (
    INTERACTIVE,
    Talk,
    count_cycles,
    expected,
    fractional,
    prepare,
    read_steps,
    rows,
    run,
    shaken,
)
from tests.systems import oxygen_on_copper
from tests.vasp import CAPTURES, captured

REAL = CAPTURES / "vasp-interactive"


@pytest.mark.parametrize("version", ["5.4.4.18Apr17-6-g9f103f2a35", "6.3.2", "6.4.0"])
def test_old_dialect_echoes_new_and_first_positions(tmp_path: Path, version: str) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    first, second = fractional(oxygen_on_copper()), fractional(shaken(1))
    with Talk(tmp_path, version=version) as talk:
        talk.listen("POSITIONS: reading from stdin\n")
        talk.label(fractional(shaken(0)))
        said = talk.label(second)
        echo = said.partition("POSITIONS: read from stdin\n")[0].splitlines()
        assert all(re.fullmatch(r"(?: {3,5}-?\d\.\d{7}){3}", line) for line in echo)
        numbers = np.array([line.split() for line in echo], dtype=float)
        assert numbers == pytest.approx(np.concatenate([second, first]), abs=1e-7)
        energy, forces = expected(shaken(1))
        (step,) = read_steps(said)
        assert (step.number, step.mag) == (3, 0.5)
        assert step.zero == pytest.approx(energy, abs=1e-6)
        assert step.free == pytest.approx(energy - 9e-3, abs=1e-6)
        assert step.forces == pytest.approx(forces, abs=1e-6)
    assert f" vasp.{version} " in talk.heard


def test_new_dialect_says_the_number_of_atoms(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    with Talk(tmp_path, version="6.4.1") as talk:
        talk.listen("POSITIONS: reading from stdin\n")
        said = talk.label(fractional(shaken(0)))
        assert said.startswith("N_ATOMS     9\n bond charge predicted\n")
        assert read_steps(said)[0].zero == pytest.approx(expected(shaken(0))[0], abs=1e-6)


def test_new_dialect_takes_a_cell(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE + "ISIF = 3\n")
    atoms = shaken(0)
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
    ase.io.write(tmp_path / "next", atoms, format="vasp", direct=True, vasp5=True)
    with Talk(tmp_path, version="6.4.2") as talk:
        talk.listen("POSITIONS AND LATTICE: reading from stdin\n")
        talk.say((tmp_path / "next").read_text())
        (step,) = read_steps(talk.listen("reading from stdin\n"))
        assert step.zero == pytest.approx(expected(atoms)[0], abs=1e-6)


@pytest.mark.parametrize(("tag", "kind"), [("LABORT", "hard"), ("LSTOP", "soft")])
def test_stopcar_ends_after_one_more_step(tmp_path: Path, tag: str, kind: str) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    with Talk(tmp_path) as talk:
        talk.listen("reading from stdin\n")
        (tmp_path / "STOPCAR").write_text(f"{tag} = .TRUE.\n")
        said = talk.label(fractional(shaken(0)))
        assert f" {kind} stop encountered!  aborting job ...\nFORCES:\n" in said
        assert count_cycles(said)[0] == 1 if kind == "hard" else count_cycles(said)[0] > 3
        talk.say(rows(fractional(shaken(0))))
        assert talk.end() == 0
    ending = "POSITIONS: read from stdin\n writing wavefunctions\n deleting file STOPCAR\n"
    assert talk.heard.endswith(ending)
    assert not (tmp_path / "STOPCAR").exists()


def test_end_of_stdin_ends_it(tmp_path: Path) -> None:
    ended = run(prepare(tmp_path, oxygen_on_copper(), INTERACTIVE), rows(fractional(shaken(0))))
    assert (ended.status, len(read_steps(ended.out))) == (0, 2)
    assert ended.out.endswith("POSITIONS: reading from stdin\n writing wavefunctions\n")


def test_nsw_ends_it_after_one_more_prompt(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE.replace("NSW = 10", "NSW = 2"))
    ended = run(tmp_path, rows(fractional(shaken(0))) * 5)
    assert ended.status == 0
    assert ended.out.count("POSITIONS: reading from stdin\n") == len(read_steps(ended.out)) == 2
    assert ended.out.endswith("POSITIONS: read from stdin\n writing wavefunctions\n")


@pytest.mark.parametrize(("ediffg", "steps"), [("-100", 1), ("-0.001", 3), ("0.001", 2)])
def test_ediffg_ends_it_by_itself(tmp_path: Path, ediffg: str, steps: int) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE.replace("FG = 0", f"FG = {ediffg}"))
    ended = run(tmp_path, rows(fractional(oxygen_on_copper())) * 2)
    assert len(read_steps(ended.out)) == steps
    assert ("reached required accuracy" in ended.out) == (steps < 3)


def test_words_at_the_prompt_are_an_error(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE)
    ended = run(tmp_path, "a b c\n")
    assert ended.status == 1
    assert "list-directed I/O syntax error" in ended.err


@pytest.mark.shared_data
@captured
def test_the_same_reader_reads_real_output(tmp_path: Path) -> None:
    real = (REAL / "examples" / "mlp_examples" / "bench_vpi_bfgs.txt").read_text()
    steps = read_steps(real)
    assert [step.number for step in steps] == list(range(1, 17))
    assert steps[0].zero == -15.153278
    assert steps[0].forces[0].tolist() == [0.2642754, -0.3014523, 0.6098524]
    broken = (REAL / "tests" / "broken_output" / "step-0" / "vasp.out").read_text()
    assert [step.free for step in read_steps(broken)] == [-6.2323928]
    assert count_cycles(broken) == [13]


@pytest.mark.shared_data
@captured
def test_a_conversation_looks_as_a_real_one(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INTERACTIVE.replace("ISPIN = 2", ""))
    with Talk(tmp_path, version="6.1.2") as talk:
        talk.listen("reading from stdin\n")
        (tmp_path / "STOPCAR").write_text("LABORT = .TRUE.\n")
        talk.label(fractional(shaken(0)))
        talk.say(rows(fractional(shaken(0))))
        assert talk.end() == 0
    real = (REAL / "examples" / "mlp_examples" / "bench_vpi_bfgs.txt").read_text()
    begin, end = real.index(" entering main loop"), real.index("VASP terminated normally")
    shapes = shape(real[begin:end])
    mine = shape(talk.heard[talk.heard.index(" entering main loop") :])
    assert [line for line in mine if line not in shapes] == []
    words = [line for line in shapes if "##" not in line and line[:3] not in {"Inp", "Att"}]
    assert [line for line in mine if "##" not in line][-9:] == words[-9:]


def shape(text: str) -> list[str]:
    """Its lines with numbers of the same width alike."""
    plain = re.sub(r"(?<=E)[+-]", " ", text).replace("-", " ").replace(" .", "0.")
    digits = re.sub(r"\d", "#", plain)
    return [re.sub(r" +(?=#)", lambda gap: "#" * len(gap[0]), line) for line in digits.splitlines()]
