"""The drivers of VASP against the stand-in: cold (M1), restarted (M2), interactive (M3)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from emmet.core.tasks import TaskDoc
from monty.json import MontyDecoder, MontyEncoder
from numpy.testing import assert_allclose
from pymatgen.core import SETTINGS as PYMATGEN
from pymatgen.io.vasp import Incar, Outcar, Poscar, Vasprun

from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.parents.vasp.inputs import make_inputs
from finetuna_flows.parents.vasp.run import VaspRun, next_folder
from finetuna_flows.parents.vasp.session import VaspSession
from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.protocols import ParentCalculator, RestingParent
from finetuna_flows.records import Label
from tests.contracts.parent import ParentContract, shaken
from tests.vasp import COMMAND, potcar, running_below, stand_in

# emmet and pymatgen warn of POTCARs that a stand-in does not need
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
EVERY = tuple(Continuation)


@pytest.fixture(scope="module", autouse=True)
def command() -> Iterator[None]:
    with stand_in():
        yield


@pytest.fixture(params=EVERY)
def continuation(request: pytest.FixtureRequest) -> Continuation:
    kind: Continuation = request.param
    return kind


@pytest.fixture
def atoms() -> Atoms:
    return ParentContract.geometry()


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[None]:
    """No process may be left in the folder of a test."""
    with contextlib.chdir(tmp_path):
        yield
    assert running_below(tmp_path) == []


def build(continuation: Continuation = Continuation.KEPT, **tags: object) -> ParentCalculator:
    generator = OC20SetGenerator(user_incar_settings=tags)
    return VaspParentSpec(generator, continuation).build()


def rest(parent: ParentCalculator) -> None:
    assert isinstance(parent, RestingParent)
    parent.rest()


def labels(parent: ParentCalculator, atoms: Atoms, seeds: Sequence[int]) -> list[Label]:
    with parent:
        return [parent.label(shaken(atoms, seed=seed)) for seed in seeds]


def emt(atoms: Atoms) -> Atoms:
    """With the calculator of the stand-in; its energies are 10 eV per atom lower."""
    copy: Atoms = atoms.copy()
    copy.set_constraint()
    copy.calc = EMT()
    return copy


def test_the_numbers_are_the_engines_in_our_order(continuation: Continuation, atoms: Atoms) -> None:
    mixed = atoms[np.random.default_rng(1).permutation(len(atoms))]
    (label,) = labels(build(continuation), mixed, [3])
    truth = emt(shaken(mixed, seed=3))
    n = len(mixed)
    assert label.energy == pytest.approx(truth.get_potential_energy() - 10 * n, abs=1e-6)
    assert label.free_energy == pytest.approx(label.energy - 1e-3 * n, abs=1e-6)
    assert_allclose(label.forces, truth.get_forces(), atol=2e-7)


def test_what_is_kept_saves_cycles(atoms: Atoms) -> None:
    counts = {
        kind: [label.scf_cycles for label in labels(build(kind), atoms, range(3))] for kind in EVERY
    }
    cold, restart, kept = (counts[kind] for kind in EVERY)
    assert cold[0] == restart[0] == kept[0]
    assert restart[1:] == kept[1:]
    assert max(c or 0 for c in kept[1:]) < min(c or 0 for c in cold)


def test_cycles_are_those_of_outcar(continuation: Continuation, atoms: Atoms) -> None:
    total = sum(label.scf_cycles or 0 for label in labels(build(continuation), atoms, range(3)))
    filed = [file.read_text().count("Iteration") for file in Path("vasp").glob("*/OUTCAR")]
    shutdown = 1 if continuation is Continuation.KEPT else 0
    assert sum(filed) == total + shutdown


def test_the_inputs_are_those_of_oc20(continuation: Continuation, atoms: Atoms) -> None:
    labels(build(continuation), atoms, [0])
    incar = Incar.from_file("vasp/0000/INCAR")
    assert (incar["ENCUT"], incar["GGA"], incar["ISYM"]) == (350, "Rp", 0)
    assert incar["IBRION"] == -1
    assert incar["NSW"] == (2000 if continuation is Continuation.KEPT else 0)
    poscar = Poscar.from_file("vasp/0000/POSCAR", check_for_potcar=False)
    assert poscar.selective_dynamics is None
    assert "8 9 1" in Path("vasp/0000/KPOINTS").read_text()


def test_folders_are_accepted_by_atomate2s_parser(continuation: Continuation, atoms: Atoms) -> None:
    made = labels(build(continuation), atoms, [0, 1])
    for folder, label in zip(sorted(Path("vasp").iterdir()), made, strict=False):
        doc = TaskDoc.from_directory(folder)
        assert doc.calcs_reversed is not None
        assert doc.output is not None
        first = doc.calcs_reversed[-1].output.ionic_steps[0]  # type: ignore[union-attr, index]
        assert first.e_0_energy == pytest.approx(label.energy, abs=1e-6)


def test_the_next_run_goes_on_from_the_last_wave_functions(atoms: Atoms) -> None:
    (first,) = labels(build(Continuation.RESTART), atoms, [0])
    (second,) = labels(build(Continuation.RESTART), atoms, [1])
    assert (second.scf_cycles or 0) < (first.scf_cycles or 0)
    kept = [
        folder.name for folder in sorted(Path("vasp").iterdir()) if (folder / "WAVECAR").exists()
    ]
    assert kept == ["0001"]


def test_wave_functions_of_other_atoms_are_left_alone(atoms: Atoms) -> None:
    labels(build(Continuation.RESTART), atoms, [0])
    other = atoms.copy()
    other.symbols[0] = "Ag"
    (second,) = labels(build(Continuation.RESTART), other, [1])
    (cold,) = labels(build(Continuation.COLD), other, [1])
    assert second.scf_cycles == cold.scf_cycles


def test_wave_functions_of_a_run_that_was_cut_off_are_left_alone(atoms: Atoms) -> None:
    labels(build(Continuation.RESTART), atoms, [0])
    outcar = Path("vasp/0000/OUTCAR")
    outcar.write_text(outcar.read_text()[:2000])
    (second,) = labels(build(Continuation.RESTART), atoms, [1])
    (cold,) = labels(build(Continuation.COLD), atoms, [1])
    assert second.scf_cycles == cold.scf_cycles


@pytest.mark.parametrize("version", ["5.4.4.18Apr17-6-g9f103f2a35", "6.4.0", "6.4.1", "6.5.1"])
def test_both_dialects_and_their_ends(version: str, atoms: Atoms) -> None:
    with stand_in(version=version):
        made = labels(build(), atoms, range(3))
    truth = emt(shaken(atoms, seed=2)).get_forces()
    assert_allclose(made[2].forces, truth, atol=2e-7)
    said = Path("vasp/0000/vasp.out").read_text()
    assert ("POSITIONS: read from stdin" in said) is (version < "6.4.1")
    assert "hard stop encountered" in said
    assert "General timing" in Path("vasp/0000/OUTCAR").read_text()
    assert len(Vasprun("vasp/0000/vasprun.xml", parse_potcar_file=False).ionic_steps) == 4


def test_spin(continuation: Continuation, atoms: Atoms) -> None:
    mixed = atoms[np.random.default_rng(1).permutation(len(atoms))]
    mixed.set_initial_magnetic_moments(np.linspace(0.1, 0.9, len(atoms)))
    made = labels(build(continuation, ISPIN=2), mixed, range(2))
    assert_allclose(made[1].forces, emt(shaken(mixed, seed=1)).get_forces(), atol=2e-7)
    poscar = Poscar.from_file("vasp/0000/POSCAR", check_for_potcar=False).structure
    given = Incar.from_file("vasp/0000/INCAR")["MAGMOM"]
    first = shaken(mixed, seed=0)
    for site, moment in zip(poscar, given, strict=True):
        away = np.linalg.norm(first.positions - site.coords, axis=1)
        assert moment == pytest.approx(mixed.get_initial_magnetic_moments()[away.argmin()])
    assert "mag=" in Path("vasp/0000/vasp.out").read_text()


def test_other_moments_are_other_inputs(atoms: Atoms) -> None:
    with build(Continuation.COLD, ispin=2) as parent:
        for moment in (1.0, -2.0):
            atoms.set_initial_magnetic_moments([moment] * len(atoms))
            parent.label(atoms)
    said = [Incar.from_file(f"vasp/000{i}/INCAR")["MAGMOM"] for i in (0, 1)]
    assert said == [[1.0] * 9, [-2.0] * 9]


@pytest.mark.parametrize("kind", [Continuation.COLD, Continuation.KEPT])
def test_a_label_that_somebody_broke_off_is_refused(kind: Continuation, atoms: Atoms) -> None:
    stopped = f"echo LABORT=.TRUE. > STOPCAR; exec {COMMAND}"
    with (
        stand_in(shlex.join(["sh", "-c", stopped])),
        build(kind) as parent,
        pytest.raises(ParentError, match="STOPCAR that is not ours") as caught,
    ):
        parent.label(atoms)
    assert not caught.value.retryable


def test_a_failed_label_leaves_no_wave_functions(atoms: Atoms, tmp_path: Path) -> None:
    labels(build(Continuation.RESTART), atoms, [0])
    for _ in range(2):
        with stand_in(fault="truncate@1"), pytest.raises(ParentError, match="cut off"):
            labels(build(Continuation.RESTART), atoms, [1])
    assert [file.parent.name for file in tmp_path.glob("vasp/*/WAVECAR")] == ["0000"]


def test_a_vasp_that_has_nsw_answers_is_followed_by_another(atoms: Atoms) -> None:
    parent = build()
    parent.prepare(atoms)  # type: ignore[attr-defined]
    inputs = parent._inputs  # type: ignore[attr-defined]
    parent._inputs = replace(inputs, incar={**inputs.incar, "NSW": 3})  # type: ignore[attr-defined]
    made = labels(parent, atoms, range(5))
    assert [label.restarts for label in made] == [0] * 5
    for seed, label in enumerate(made):
        assert_allclose(label.forces, emt(shaken(atoms, seed=seed)).get_forces(), atol=2e-7)
    assert len(list(Path("vasp").iterdir())) == 3


@pytest.mark.parametrize("kind", [Continuation.COLD, Continuation.KEPT])
def test_a_folder_that_cannot_be_written_to_is_told(kind: Continuation, atoms: Atoms) -> None:
    Path("vasp").touch()
    with build(kind) as parent, pytest.raises(ParentError, match=r"no label by VASP in .*vasp"):
        parent.label(atoms)


def test_answers_that_outcar_does_not_show_are_told_once(
    atoms: Atoms, caplog: pytest.LogCaptureFixture
) -> None:
    with stand_in(fault="truncate@2"), build() as parent:
        labels(parent, atoms, (1, 2, 3))
    told = [each for each in caplog.messages if "not all checked against its OUTCAR" in each]
    assert len(told) == 1
    assert "does not show 2 of 3 answers" in told[0]


def test_a_build_that_does_not_flush_its_files_is_no_trouble(atoms: Atoms) -> None:
    with stand_in(buffer="files"):
        made = labels(build(), atoms, range(3))
    assert_allclose(made[1].forces, emt(shaken(atoms, seed=1)).get_forces(), atol=2e-7)


def test_a_build_that_does_not_flush_its_output_is_named(
    atoms: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_SILENCE", "1")
    with (
        stand_in(buffer="block"),
        build() as parent,
        pytest.raises(ParentError, match=r"no output for 1 s .*not flushed"),
    ):
        parent.label(atoms)


CRASHES = {
    "die0": "ended by itself with exit code 0",
    "die": "ended by itself with exit code 1",
    "kill": "ended by signal 9",
}
WRONG = {
    "zpotrf": ("ZPOTRF", False),
    "unconverged": ("not self-consistent after NELM = 60", False),
}
IN_FORCES = {
    "nan": "is no|not finite",
    "stars": r"where '\*+' is no number",
    "atoms": "printed 8 forces for 9 atoms",
    "stale": "ionic step 1 where 2 was due",
    "wrong_positions": "filed positions that differ",
}


def test_a_code_of_intel_fortran_is_no_signal(atoms: Atoms) -> None:
    words = r"ended by itself with exit code 174 \(Intel Fortran's for a segmentation fault"
    with (
        stand_in(shlex.join(["sh", "-c", f"{COMMAND} || exit 174"]), fault="die@1"),
        build(Continuation.COLD) as parent,
        pytest.raises(ParentError, match=words),
    ):
        parent.label(atoms)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [*((Continuation.COLD, fault) for fault in CRASHES), (Continuation.RESTART, "kill")],
)
def test_a_crash_is_told_and_may_be_tried_again(
    kind: Continuation, fault: str, atoms: Atoms, tmp_path: Path
) -> None:
    with stand_in(fault=f"{fault}@2", counter=str(tmp_path)), build(kind) as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match=CRASHES[fault]) as caught:
            parent.label(shaken(atoms, seed=1))
        assert caught.value.retryable
        assert re.search(r"last words: .*(DAV|RMM): +\d", str(caught.value))
        again = parent.label(shaken(atoms, seed=1))
    assert_allclose(again.forces, emt(shaken(atoms, seed=1)).get_forces(), atol=2e-7)


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("kind", [Continuation.COLD, Continuation.KEPT])
def test_what_vasp_complains_of_itself_is_not_tried_again(
    kind: Continuation, fault: str, atoms: Atoms
) -> None:
    words, retryable = WRONG[fault]
    with stand_in(fault=f"{fault}@1"), build(kind) as parent:
        with pytest.raises(ParentError, match=words) as caught:
            parent.label(atoms)
        assert caught.value.retryable is retryable


@pytest.mark.parametrize("fault", IN_FORCES)
def test_an_interactive_answer_that_is_nonsense_is_refused(fault: str, atoms: Atoms) -> None:
    with stand_in(fault=f"{fault}@2"), build() as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match=IN_FORCES[fault]) as caught:
            parent.label(shaken(atoms, seed=1))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("fault", "words"),
    [("truncate", "cut off or damaged"), ("nan", "not finite|no number"), ("atoms", "forces|rows")],
)
def test_a_vasprun_that_is_nonsense_is_refused(fault: str, words: str, atoms: Atoms) -> None:
    with (
        stand_in(fault=f"{fault}@1"),
        build(Continuation.COLD) as parent,
        pytest.raises(ParentError, match=words),
    ):
        parent.label(atoms)


def test_files_of_other_positions_are_refused(atoms: Atoms) -> None:
    with (
        stand_in(fault="wrong_positions@1"),
        build(Continuation.COLD) as parent,
        pytest.raises(ParentError, match="filed positions that differ by"),
    ):
        parent.label(atoms)


@pytest.mark.parametrize("kind", [Continuation.COLD, Continuation.KEPT])
def test_silence_has_a_deadline(
    kind: Continuation, atoms: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_SILENCE", "1")
    words = r"no output for 1 s \(FINETUNA_FLOWS_VASP_SILENCE\)"
    with (
        stand_in(fault="silent@1"),
        build(kind) as parent,
        pytest.raises(ParentError, match=words),
    ):
        parent.label(atoms)


@pytest.mark.parametrize("fault", [*CRASHES, pytest.param("silent", marks=pytest.mark.slow)])
def test_a_crashed_process_is_started_again_once(
    fault: str, atoms: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_SILENCE", "3")
    with stand_in(fault=f"{fault}@3", fault_file=str(tmp_path / "happened")):
        made = labels(build(), atoms, range(4))
    plain = labels(build(), atoms, range(4))
    assert [label.restarts for label in made] == [0, 0, 1, 0]
    for label, other in zip(made, plain, strict=True):
        assert_allclose(label.forces, other.forces, atol=2e-7)
    assert (made[2].scf_cycles or 0) > (plain[2].scf_cycles or 0)
    again = Poscar.from_file("vasp/0001/POSCAR", check_for_potcar=False).structure
    last = shaken(atoms, seed=1).get_scaled_positions(wrap=False)
    assert_allclose(np.sort(again.frac_coords, axis=0), np.sort(last, axis=0), atol=1e-9)


def test_the_second_crash_ends_it(atoms: Atoms) -> None:
    with stand_in(fault="kill@2"), build() as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match="signal 9") as caught:
            parent.label(shaken(atoms, seed=1))
    assert caught.value.retryable
    assert [folder.name for folder in sorted(Path("vasp").iterdir())] == ["0000", "0001"]


def test_a_process_that_was_started_again_must_say_the_same(atoms: Atoms, tmp_path: Path) -> None:
    """Another electronic state after the crash."""
    engine = tmp_path / "engine.py"
    engine.write_text(
        "from pathlib import Path\nfrom ase.calculators.emt import EMT\n\n\n"
        "class Shifted(EMT):\n"
        "    def calculate(self, *args, **kwargs):\n"
        "        super().calculate(*args, **kwargs)\n"
        "        for name in ('energy', 'free_energy', 'energies'):\n"
        "            self.results[name] = self.results[name] + 0.1\n\n\n"
        "def make():\n"
        f"    return Shifted() if Path({str(tmp_path / 'happened')!r}).exists() else EMT()\n"
    )
    switches = {"fault": "kill@2", "fault_file": str(tmp_path / "happened")}
    with stand_in(calculator=f"{engine}:make", **switches), build() as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match="another electronic state"):
            parent.label(shaken(atoms, seed=1))


def test_ranks_are_stopped_between_labels_and_go_on(atoms: Atoms) -> None:
    with stand_in(ranks="3"), build() as parent:
        for seed in range(2):
            parent.label(shaken(atoms, seed=seed))
            rest(parent)
            ranks = parent._session._run.ranks  # type: ignore[attr-defined]
            states = ranks.find()
            assert {each.state for each in states} == {"T"}
            time.sleep(0.2)
            assert [each.cpu for each in ranks.find()] == [each.cpu for each in states]
        before = parent.paused_time  # type: ignore[attr-defined]
        time.sleep(0.2)
    assert parent.paused_time >= before + 0.2  # type: ignore[attr-defined]


def test_pausing_can_be_switched_off(atoms: Atoms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_PAUSE", "no")
    with stand_in(ranks="2"), build() as parent:
        parent.label(atoms)
        rest(parent)
        ranks = parent._session._run.ranks  # type: ignore[attr-defined]
        assert "T" not in {each.state for each in ranks.find()}


@pytest.mark.parametrize("pause", ["auto", "yes"])
def test_ranks_that_cannot_be_seen_are_not_taken_for_stopped(
    pause: str,
    atoms: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Under srun on other nodes: here a launcher of that name hides what it starts."""
    srun = tmp_path / "srun"
    shutil.copyfile("/bin/sh", srun)
    srun.chmod(0o755)
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_PAUSE", pause)
    command = f"{srun} -c 'env -u FINETUNA_FLOWS_PROGRAM {COMMAND}; exit'"
    with stand_in(command), build() as parent:
        if pause == "yes":
            parent.label(atoms)
            with pytest.raises(ParentError, match="cannot be paused"):
                rest(parent)
            return
        with caplog.at_level(logging.WARNING):
            for seed in range(2):
                parent.label(shaken(atoms, seed=seed))
                rest(parent)
    assert [record.message[:40] for record in caplog.records] == [
        "VASP goes on using its processors betwee"
    ]


def test_positions_that_vasp_has_read_otherwise_are_refused(atoms: Atoms) -> None:
    """A wrapper between us and VASP that changes a digit."""
    filtered = f"stdbuf -oL sed s/^.0.1/0.2/ | {COMMAND}"
    with stand_in(shlex.join(["sh", "-c", filtered])), build() as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match="read positions that differ by"):
            parent.label(shaken(atoms, seed=1))


def test_changed_atoms_are_refused_with_what_to_do(atoms: Atoms) -> None:
    larger, other = atoms.copy(), atoms.copy()
    larger.set_cell(atoms.cell * 1.01)
    other.symbols[0] = "Ag"
    with build() as parent:
        parent.label(atoms)
        for changed in (larger, other, atoms[1:]):
            with pytest.raises(ParentError, match="take continuation 'cold' or 'restart'"):
                parent.label(changed)
        parent.label(shaken(atoms, seed=1))


def test_another_structure_is_no_trouble_where_a_process_is_fresh(atoms: Atoms) -> None:
    with build(Continuation.COLD) as parent:
        parent.label(atoms)
        label = parent.label(atoms[1:])
    assert_allclose(label.forces, emt(atoms[1:]).get_forces(), atol=2e-7)


def test_atoms_that_leave_the_cell_are_not_wrapped(atoms: Atoms) -> None:
    moved = atoms.copy()
    moved.positions += atoms.cell[0] * 1.3
    (inside,) = labels(build(), atoms, [0])
    with build() as parent:
        parent.label(moved)
        label = parent.label(shaken(moved, seed=0))
    assert_allclose(label.forces, inside.forces, atol=1e-6)


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="no mpirun here")
def test_ranks_of_mpirun_are_stopped_and_end_with_it(atoms: Atoms, tmp_path: Path) -> None:
    command = f"mpirun --allow-run-as-root --oversubscribe -n 2 {COMMAND}"
    with stand_in(command), build() as parent:
        for seed in range(3):
            label = parent.label(shaken(atoms, seed=seed))
            rest(parent)
            ranks = parent._session._run.ranks  # type: ignore[attr-defined]
            assert [each.state for each in ranks.find()] == ["T", "T"]
            assert_allclose(label.forces, emt(shaken(atoms, seed=seed)).get_forces(), atol=2e-7)
    assert not (tmp_path / "vasp/0001").exists()


OWNER = """
import logging, sys
from tests.contracts.parent import ParentContract
from finetuna_flows.parents.specs import VaspParentSpec
parent = VaspParentSpec().build()
with parent:
    parent.label(ParentContract.geometry())
    parent.rest()
    print("labelled", flush=True)
    input()
"""


def test_a_killed_job_leaves_no_rank(tmp_path: Path) -> None:
    """Killed while the ranks are stopped."""
    with stand_in(ranks="3"):
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"labelled\n"
        assert len(running_below(tmp_path)) >= 3
        owner.kill()
    deadline = time.monotonic() + 10
    while running_below(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_error_of_the_learner_ends_vasp_at_once(atoms: Atoms) -> None:
    started = time.monotonic()
    with contextlib.suppress(RuntimeError), build() as parent:
        parent.label(atoms)
        started = time.monotonic()
        raise RuntimeError
    assert time.monotonic() - started < 4
    assert "hard stop" not in Path("vasp/0000/vasp.out").read_text()


def test_the_level_is_known_once_the_structure_is(atoms: Atoms) -> None:
    parent = build(ENCUT=400, ISPIN=2)
    assert parent.level == "VASP, OC20SetGenerator"
    parent.prepare(atoms)  # type: ignore[attr-defined]
    assert parent.level == (
        "stand-in for VASP RPBE, 400 eV, ISMEAR 1 of 0.2 eV, spin, 8×9×1 Monkhorst k-points, "
        "LREAL A, PAW Cu O"
    )
    assert {"Cu", "Pt"} <= (parent.elements or frozenset())


def test_a_molecule_without_a_box_is_refused(continuation: Continuation) -> None:
    with build(continuation) as parent, pytest.raises(StructureError, match="needs 3; put the"):
        parent.label(molecule("H2O"))


def begun(atoms: Atoms, command: str = COMMAND) -> VaspSession:
    inputs = make_inputs(OC20SetGenerator(), atoms, Continuation.KEPT, stand_in=True)
    folder = next_folder(Path.cwd())
    inputs.write(folder, atoms)
    run = VaspRun(shlex.split(command), folder, len(atoms), dict(inputs.incar), 60)
    session = VaspSession(run, inputs, "no")
    session.first(atoms)
    return session


def test_a_vasp_that_hangs_at_its_end_is_killed(
    atoms: Atoms, caplog: pytest.LogCaptureFixture
) -> None:
    with stand_in(), caplog.at_level(logging.WARNING):
        session = begun(atoms)
        session._run.ranks.stop()
        session.close(patience=0.5)
    assert [record.message.partition("0000 ")[2] for record in caplog.records] == [
        "does not heed STOPCAR",
        "does not end with its input; it is killed",
    ]


def test_the_end_of_its_input_ends_a_vasp_that_does_not_see_stopcar(
    atoms: Atoms, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs in a copy of the folder."""
    copied = f"mkdir copy && cp * copy 2>/dev/null; cd copy && exec {COMMAND}"
    with stand_in(), caplog.at_level(logging.WARNING):
        begun(atoms, shlex.join(["sh", "-c", copied])).close()
    assert "hard stop" not in Path("vasp/0000/vasp.out").read_text()
    assert "General timing" in Path("vasp/0000/copy/OUTCAR").read_text()
    (told,) = caplog.records  # there is no OUTCAR where it was started
    assert "are not all checked against its OUTCAR" in told.getMessage()


@pytest.fixture
def wrapper(tmp_path: Path) -> str:
    """A program that is no Python to look at, as VASP is."""
    program = tmp_path / "vasp_std"
    program.write_text(f"#!/bin/sh\nexec {COMMAND}\n")
    program.chmod(0o755)
    return str(program)


def test_potcars_come_from_pymatgens_library(
    atoms: Atoms, wrapper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for symbol, valence in (("Cu", 11), ("O", 6)):
        folder = tmp_path / "library/POT_GGA_PAW_PBE" / symbol
        folder.mkdir(parents=True)
        (folder / "POTCAR").write_text(potcar(symbol, valence))
    monkeypatch.setitem(PYMATGEN, "PMG_VASP_PSP_DIR", str(tmp_path / "library"))
    with stand_in(wrapper), build() as parent:
        label = parent.label(atoms[::-1])
        assert parent.level.endswith("PAW Cu O")
    assert_allclose(label.forces, emt(atoms[::-1]).get_forces(), atol=2e-7)
    titles = re.findall(r"TITEL +=.*PAW_PBE (\w+)", Path("vasp/0000/POTCAR").read_text())
    assert titles == ["Cu", "O"]


def test_a_missing_library_of_potcars_is_named_before_anything_runs(
    atoms: Atoms, wrapper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PYMATGEN, "PMG_VASP_PSP_DIR", None)
    with stand_in(wrapper):
        parent = build()
        with pytest.raises(ParentError, match=r"no POTCAR for Cu8 O1: .*set PMG_VASP_PSP_DIR"):
            parent.prepare(atoms)  # type: ignore[attr-defined]
    assert not Path("vasp").exists()


def test_the_outcar_is_pymatgens(atoms: Atoms) -> None:
    labels(build(), atoms, range(2))
    assert Outcar("vasp/0000/OUTCAR").data is not None


def test_the_command_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VASP_COMMAND", "ASE_VASP_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ParentError, match="no command starts VASP; set VASP_COMMAND"):
        build()
    monkeypatch.setenv("ASE_VASP_COMMAND", "mpirun_of_nobody -n 4 vasp_std")
    with pytest.raises(ParentError, match="'mpirun_of_nobody' is no program here"):
        build()
    for command, words in ((" ", "no command"), ("vasp 'std", "no shell"), ("$NOTHING", "is left")):
        monkeypatch.setenv("VASP_COMMAND", command)
        monkeypatch.delenv("ASE_VASP_COMMAND", raising=False)
        monkeypatch.setenv("NOTHING", "")
        with pytest.raises(ParentError, match=words):
            build()
    monkeypatch.setenv("FINETUNA_FLOWS_VASP_COMMAND", COMMAND)
    build()


def test_the_spec_survives_json_and_names_its_set() -> None:
    spec = VaspParentSpec(OC20SetGenerator(user_incar_settings={"ENCUT": 400}), Continuation.COLD)
    again = json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder)
    assert again == spec
    assert again.input_set_generator.user_incar_settings == {"ENCUT": 400}
    with pytest.raises(TypeError, match="must be a generator of VASP input sets"):
        VaspParentSpec({"ENCUT": 400})  # type: ignore[arg-type]
