"""What VASP prints, from real runs and line by line."""

from __future__ import annotations

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.io.vasp import Vasprun

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.vasp.files import Outcar, read_last_step
from finetuna_flows.parents.vasp.stream import Dialect, IonicStep, Stream
from tests.vasp import CAPTURES, captured

REAL = CAPTURES / "vasp-interactive"
COPPER = REAL / "examples/mlp_examples"
HYDROGEN = REAL / "tests/broken_output/step-0"

shared = [pytest.mark.shared_data, captured]


def read(text: str, atoms: int | None = None) -> tuple[Stream, list[IonicStep], int]:
    stream = Stream(atoms)
    steps, prompts = [], 0
    for line in text.splitlines():
        if step := stream.feed(line):
            steps.append(step)
        prompts += stream.wants_positions(line)
    return stream, steps, prompts


class TestRealCopper:
    """Cu7 by VASP 6.1.2: an interactive relaxation, and within its log one plain run."""

    pytestmark = shared

    @pytest.fixture
    def interactive(self) -> tuple[Stream, list[IonicStep], int]:
        return read((COPPER / "bench_vpi_bfgs.txt").read_text(), atoms=7)

    def test_energies_and_forces_are_those_of_the_relaxation(
        self, interactive: tuple[Stream, list[IonicStep], int]
    ) -> None:
        _, steps, _ = interactive
        labels = [step for step in steps if step.forces is not None and not step.stopping]
        frames = ase.io.read(COPPER / "vpi_bfgs.traj", index=":")
        assert len(labels) == len(frames) == 15
        for number, (label, frame) in enumerate(zip(labels, frames, strict=True), start=1):
            assert label.number == number
            assert label.energy == pytest.approx(frame.get_potential_energy(), abs=1e-6)
            assert label.forces is not None
            ordered = np.sort(label.forces, axis=0)
            assert_allclose(ordered, np.sort(frame.get_forces(), axis=0), atol=1e-6)

    def test_positions_are_echoed_as_they_were_sent(
        self, interactive: tuple[Stream, list[IonicStep], int]
    ) -> None:
        """The log has them with more decimals behind each `Inputting positions`."""
        _, steps, _ = interactive
        text = (COPPER / "bench_vpi_bfgs.txt").read_text()
        sent = [
            np.array([row.split() for row in block.splitlines()[1:8]], dtype=np.float64)
            for block in text.split("Inputting positions...")[1:]
        ]
        echoed = [step.echoed for step in steps if step.echoed is not None]
        assert len(echoed) == 15
        for mine, theirs in zip(echoed, sent, strict=False):
            assert_allclose(mine, theirs, atol=1e-7)

    def test_cycles_of_the_relaxation_of_the_shutdown_and_of_the_plain_run(
        self, interactive: tuple[Stream, list[IonicStep], int]
    ) -> None:
        _, steps, _ = interactive
        plain = sum(step.cycles for step in steps if step.forces is None)
        shutdown = sum(step.cycles for step in steps if step.stopping)
        relaxation = sum(step.cycles for step in steps) - plain - shutdown
        assert (relaxation, shutdown, plain) == (95, 1, 23)
        assert relaxation + shutdown + plain == 119

    def test_dialect_version_and_prompts(
        self, interactive: tuple[Stream, list[IonicStep], int]
    ) -> None:
        stream, _, prompts = interactive
        assert stream.dialect is Dialect.ECHO
        assert stream.version == "6.1.2"
        assert prompts == 16

    def test_the_same_relaxation_cold(self) -> None:
        """354 cycles in all, as its authors counted: 15 labels and one that was asked twice."""
        _, steps, _ = read((COPPER / "bench_vasp_bfgs_nocache.txt").read_text())
        assert sum(step.cycles for step in steps) == 354

    def test_counts_of_the_active_learning_run(self) -> None:
        _, steps, _ = read((COPPER / "bench_vasp_al.txt").read_text())
        assert all(step.cycles > 0 for step in steps)


class TestRealHydrogen:
    """H2 by VASP 5.4.4, a build that does not flush its files."""

    pytestmark = shared

    def test_its_one_answer(self) -> None:
        stream, (step,), prompts = read((HYDROGEN / "vasp.out").read_text(), atoms=2)
        assert stream.version == "5.4.4.18Apr17-6-g9f103f2a35"
        assert (prompts, step.number, step.cycles) == (1, 1, 13)
        assert step.energy == step.free_energy == pytest.approx(-6.2323928, abs=1e-7)
        assert step.forces is not None
        assert_allclose(step.forces[:, 0], [-3.6669864, 3.6669864], atol=1e-9)
        assert max(step.residuals) == pytest.approx(7.3227e-05)

    def test_its_files_hold_no_answer_yet(self) -> None:
        assert Outcar(HYDROGEN / "OUTCAR").new_steps() == []
        with pytest.raises(ParentError, match=r"vasprun\.xml is cut off or damaged"):
            read_last_step(HYDROGEN / "vasprun.xml")


FORCES = "FORCES:\n     0.1000000    -0.2000000     0.0000000\n"
STARS = f"{'*' * 14}     0.0000000     0.0000000\n"
ENERGY = "   1 F= -.15172075E+02 E0= -.15153278E+02  d E =-.151721E+02"
CYCLE = "DAV:   {}    -0.152712418281E+02   -0.99249E-01   -0.99096E+00    92   0.157E+01\n"


@pytest.mark.parametrize("moments", ["2.0000", "0.0000    0.0000    1.5000", "********"])
def test_moments_behind_the_energy_are_no_trouble(moments: str) -> None:
    _, (step,), _ = read(f"{ENERGY}  mag=     {moments}\n")
    assert step.energy == -15.153278


def test_columns_that_touch_are_told_apart() -> None:
    values = [[-1000.1, -2000.2, -3000.3], [-10000.1234567, -20000.0, -30000.0]]
    rows = "\n".join("".join(f"{value:14.7f}" for value in row) for row in values)
    _, (step,), _ = read(f"FORCES:\n{rows}\n{ENERGY}\n", atoms=2)
    assert step.forces is not None
    assert_allclose(step.forces, values)


def test_cycles_beyond_what_fits_are_counted() -> None:
    text = "".join(CYCLE.format(count) for count in (998, 999, "***", "***"))
    _, (step,), _ = read(f"{text}{ENERGY}\n")
    assert step.cycles == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FORCES + ENERGY, "printed 1 forces for 2 atoms"),
        (
            FORCES * 1 + "**************     0.0000000     0.0000000\n" + ENERGY,
            r"'\*+' is no number",
        ),
        (FORCES + "           NaN           NaN           NaN\n" + ENERGY, "is not finite"),
        ("   1 F= NaN E0= NaN  d E =NaN", "is not finite"),
        ("   1 F= ************** E0= -.1E+01  d E =-.1E+01", "is no number"),
    ],
)
def test_nonsense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ParentError, match=words):
        read(text, atoms=2)


def test_a_prompt_for_the_cell_is_refused() -> None:
    with pytest.raises(ParentError, match="set ISIF to 2 or less"):
        read("POSITIONS AND LATTICE: reading from stdin")


def test_the_later_dialect_is_known_by_its_line() -> None:
    stream, _, prompts = read("POSITIONS: reading from stdin\n N_ATOMS     7\n")
    assert (stream.dialect, prompts) == (Dialect.COUNT, 1)


@pytest.mark.shared_data
@captured
def test_the_plain_run_agrees_with_its_own_vasprun(tmp_path: Path) -> None:
    """Other captures have no standard output; their files are what answers are checked against."""
    folder = CAPTURES / "atomate2/tests/test_data/vasp/Au_adsorption/ads_relax_1_3/outputs"
    for name in ("OUTCAR", "vasprun.xml"):
        (tmp_path / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
    steps = Outcar(tmp_path / "OUTCAR").new_steps()
    truth = Vasprun(str(tmp_path / "vasprun.xml"), parse_potcar_file=False).ionic_steps
    assert len(steps) == len(truth) == 26
    for step, other in zip(steps, truth, strict=True):
        assert step.energy == pytest.approx(other["e_0_energy"], abs=1e-7)
        assert step.free_energy == pytest.approx(other["e_fr_energy"], abs=1e-7)
        assert_allclose(step.forces, other["forces"], atol=1e-6)
    last = read_last_step(tmp_path / "vasprun.xml")
    assert last.energy == pytest.approx(steps[-1].energy, abs=1e-7)


@pytest.mark.shared_data
@captured
def test_vasp_5_files_the_wrong_energy_beside_the_right_one() -> None:
    path = CAPTURES / "fairchem/tests/data/oc/tests/old_tests/unittest/27998_vasprun.xml"
    assert read_last_step(path).energy == pytest.approx(-140.07469344, abs=1e-8)


def test_outcar_is_read_as_it_grows(tmp_path: Path) -> None:
    block = (
        " POSITION                                       TOTAL-FORCE (eV/Angst)\n"
        f" {'-' * 83}\n      0.00000      0.00000      {{0}}.00000      0.1      0.0      0.0\n"
        f" {'-' * 83}\n    total drift:     0.0  0.0  0.0\n"
        "  free  energy   TOTEN  =       -{0}.25000000 eV\n\n"
        "  energy  without entropy=       -1.0  energy(sigma->0) =       -{0}.50000000\n"
    )
    whole = "header\n" + block.format(1) + "between\n" + block.format(2)
    path = tmp_path / "OUTCAR"
    outcar = Outcar(path)
    assert outcar.new_steps() == []
    found: list[float] = []
    for end in range(0, len(whole) + 1, 7):
        path.write_text(whole[:end])
        found += [step.energy for step in outcar.new_steps()]
    path.write_text(whole)
    found += [step.energy for step in outcar.new_steps()]
    assert found == [-1.5, -2.5]


TABLE = (
    " POSITION                                       TOTAL-FORCE (eV/Angst){heading}\n"
    f" {'-' * 83}\n"
    "      0.00000      0.00000      1.00000      0.100000      0.000000      0.200000{more}\n"
    f" {'-' * 83}\n    total drift:     0.0  0.0  0.0\n"
    "  free  energy   TOTEN  =       -1.25000000 eV\n\n"
    "  energy  without entropy=       -1.0  energy(sigma->0) =       -1.50000000\n"
    "     LOOP+:  cpu time    1.0: real time    1.0\n"
)
"""Of one atom, as OUTCAR has it."""


@pytest.mark.parametrize("more", ["", "      0.300000" * 3, "           NaN" * 3])
def test_columns_behind_the_forces_do_not_matter(more: str, tmp_path: Path) -> None:
    heading = ",        FORCE-w/o vdW (eV/Angst)" if more else ""
    (tmp_path / "OUTCAR").write_text(TABLE.format(heading=heading, more=more))
    outcar = Outcar(tmp_path / "OUTCAR")
    (step,) = outcar.new_steps()
    assert_allclose(step.forces, [[0.1, 0.0, 0.2]])
    assert outcar.unread == 0


def test_steps_whose_table_is_not_known_are_counted(tmp_path: Path) -> None:
    text = TABLE.format(heading="", more="").replace("TOTAL-FORCE", "FORCES")
    (tmp_path / "OUTCAR").write_text(text * 2)
    outcar = Outcar(tmp_path / "OUTCAR")
    assert outcar.new_steps() == []
    assert outcar.unread == 2


def test_a_table_with_stars_is_refused(tmp_path: Path) -> None:
    text = TABLE.format(heading="", more="").replace("0.200000", "********")
    (tmp_path / "OUTCAR").write_text(text)
    with pytest.raises(ParentError, match="are not 6 numbers"):
        Outcar(tmp_path / "OUTCAR").new_steps()
