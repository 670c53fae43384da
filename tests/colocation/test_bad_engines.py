"""Engines that speak i-PI badly, die or never come, and users who describe them wrongly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ase import Atoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.errors import ParentError
from tests.contracts.parent import shaken
from tests.fakes import ipi_engine
from tests.fakes.ipi_engine import (
    DEAF,
    DIES,
    EXITS,
    HALF,
    MISCOUNTS,
    NAN,
    PLAIN,
    STAYS_AWAY,
    STRICT,
    TOLD,
    TURNS,
    WANTS_INIT,
)

pytestmark = pytest.mark.usefixtures("here")

ENGINE = Path(ipi_engine.__file__)


def bad(mode: str, meet: float = 20.0) -> IpiParentSpec:
    command = f"{sys.executable} -I -S {ENGINE} {mode} {{name}}"
    patience = Patience(meet=meet, label=20.0)
    return IpiParentSpec(command, f"{ENGINE}:Written", patience=patience)


def test_an_engine_that_misses_nothing_labels(atoms: Atoms) -> None:
    with bad(PLAIN).build() as parent:
        label = parent.label(atoms)
    assert label.energy == pytest.approx(-27.211386, abs=1e-5)  # one Hartree
    assert label.restarts == 0
    assert not label.forces.any()


def test_an_engine_that_wants_init_before_every_geometry_gets_it(
    atoms: Atoms, tmp_path: Path
) -> None:
    with bad(WANTS_INIT).build() as parent:
        for seed in range(3):
            parent.label(shaken(atoms, seed=seed))
    told = (tmp_path / "engine" / "0000" / TOLD).read_text().split()
    assert told.count("POSDATA") == 3
    assert 3 <= told.count("INIT") <= 4


def test_a_strict_engine_hears_every_word_in_turn_and_may_end_as_it_likes(
    atoms: Atoms, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), bad(STRICT).build() as parent:
        for seed in range(3):
            assert parent.label(shaken(atoms, seed=seed)).restarts == 0
    told = (tmp_path / "engine" / "0000" / TOLD).read_text().split()
    assert told == ["STATUS", "POSDATA", "STATUS", "GETFORCE"] * 3
    assert "the engine was told to end, and did with exit code 14" in caplog.text


def test_the_first_geometry_of_an_engine_is_the_one_of_its_input(
    atoms: Atoms, tmp_path: Path
) -> None:
    with bad(STRICT).build() as parent:
        parent.prepare(atoms)  # type: ignore[attr-defined]
        for seed in range(3):
            assert parent.label(shaken(atoms, seed=seed)).restarts == 0
    assert sorted(each.name for each in (tmp_path / "engine").iterdir()) == ["0000", "0001"]


def test_forces_that_turn_a_molecule_are_no_label(atoms: Atoms, tmp_path: Path) -> None:
    atoms.pbc = False
    words = r"net torque of .* eV \(of .*\) but must have none: .* `nocenter noautosym noautoz`"
    with bad(TURNS).build() as parent, pytest.raises(ParentError, match=words):
        parent.label(atoms)
    atoms.pbc = True
    with bad(TURNS).build() as parent:
        assert parent.label(atoms).forces.any()


def test_the_name_of_the_socket_is_written_where_an_input_file_has_a_place(
    atoms: Atoms, tmp_path: Path
) -> None:
    inputs = {"count.txt": "9", "socket.txt": "{name}", "braces.txt": "${name} {other}"}
    command = f"sh -c 'exec {sys.executable} -I -S {ENGINE} {PLAIN} $(cat socket.txt)'"
    calculator = "finetuna_flows.colocation.template:template"
    with IpiParentSpec(command, calculator, {"inputs": inputs}).build() as parent:
        assert not parent.label(atoms).forces.any()
        folder = tmp_path / "engine" / "0000"
        assert (folder / "socket.txt").read_text().startswith("finetuna_")
        assert (folder / "braces.txt").read_text() == "${name} {other}"


def test_an_engine_that_dies_is_started_again_once_and_its_last_words_are_told(
    atoms: Atoms, tmp_path: Path
) -> None:
    words = "ended with exit code 7; its last words: the density does not converge"
    with bad(DIES).build() as parent, pytest.raises(ParentError, match=words) as caught:
        parent.label(atoms)
    assert caught.value.retryable
    assert sorted(each.name for each in (tmp_path / "engine").iterdir()) == ["0000", "0001"]


def test_the_last_words_of_an_engine_that_exits_at_once_are_told(atoms: Atoms) -> None:
    words = r"ipi_engine.py exits .*` ended with exit code 1; .*: starting \| no licence is left"
    with bad(EXITS).build() as parent, pytest.raises(ParentError, match=words):
        parent.label(atoms)


def test_a_program_that_is_not_there_is_named(atoms: Atoms) -> None:
    spec = IpiParentSpec("no-such-engine {name}", f"{ENGINE}:Written")
    words = "exit code 127; its last words: no-such-engine: No such file"
    with spec.build() as parent, pytest.raises(ParentError, match=words):
        parent.label(atoms)


def test_an_engine_that_never_connects_is_given_up(atoms: Atoms) -> None:
    words = r"the engine did not come to unix:/tmp/ipi_finetuna_.* within 0.5 s"
    with bad(STAYS_AWAY, meet=0.5).build() as parent, pytest.raises(ParentError, match=words):
        parent.prepare(atoms)  # type: ignore[attr-defined]


def test_numbers_that_are_not_finite_are_no_label(atoms: Atoms, tmp_path: Path) -> None:
    with (
        bad(NAN).build() as parent,
        pytest.raises(ParentError, match=r"engine.*energy that are not finite") as caught,
    ):
        parent.label(atoms)
    assert not caught.value.retryable


def test_forces_on_another_number_of_atoms_are_no_label(atoms: Atoms, tmp_path: Path) -> None:
    words = "engine announced 10 atoms but 9 were expected"
    with bad(MISCOUNTS).build() as parent, pytest.raises(ParentError, match=words) as caught:
        parent.label(atoms)
    assert not caught.value.retryable
    assert [each.name for each in (tmp_path / "engine").iterdir()] == ["0000"]


@pytest.mark.slow
def test_half_a_message_is_no_label(atoms: Atoms, tmp_path: Path) -> None:
    with (
        bad(HALF).build() as parent,
        pytest.raises(ParentError, match="engine closed the connection") as caught,
    ):
        parent.label(atoms)
    assert caught.value.retryable
    assert sorted(each.name for each in (tmp_path / "engine").iterdir()) == ["0000", "0001"]


@pytest.mark.slow
def test_an_engine_that_does_not_end_is_ended(
    atoms: Atoms, caplog: pytest.LogCaptureFixture
) -> None:
    with bad(DEAF).build() as parent:
        parent.label(atoms)


def test_another_structure_has_an_engine_of_its_own(atoms: Atoms, tmp_path: Path) -> None:
    with bad(PLAIN).build() as parent:
        parent.label(atoms)
        parent.label(shaken(atoms, seed=1))
        parent.label(atoms[::-1])
        wider = atoms.copy()
        wider.cell[2, 2] += 0.5
        parent.label(wider)
    folders = sorted(each.name for each in (tmp_path / "engine").iterdir())
    assert folders == ["0000", "0001", "0002"]


def test_input_files_that_cannot_be_written_are_a_parents_failure(atoms: Atoms) -> None:
    spec = IpiParentSpec("engine {name}", f"{ENGINE}:Unable")
    words = "Unable cannot write its input files: there is no pseudopotential for Cu"
    with spec.build() as parent, pytest.raises(ParentError, match=words):
        parent.label(atoms)


def test_what_writes_no_input_files_is_refused() -> None:
    spec = IpiParentSpec("engine {name}", "builtins:dict")
    with pytest.raises(ParentError, match="builtins:dict makes a dict, which writes no input"):
        spec.build()


def test_a_command_without_a_place_for_the_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`command` is 'pw.x' but must hold {name}"):
        IpiParentSpec("pw.x", "ase.calculators.espresso:Espresso")


def test_a_pause_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="`pause` is 'never' but must be auto, yes or no"):
        IpiParentSpec("engine {name}", f"{ENGINE}:Written", pause="never")


def test_braces_of_the_shell_stay_as_they_are(atoms: Atoms) -> None:
    command = f"sh -c 'A={sys.executable}; exec ${{A}} {ENGINE} {PLAIN} {{name}}'"
    with IpiParentSpec(command, f"{ENGINE}:Written").build() as parent:
        assert not parent.label(atoms).forces.any()


def test_the_engine_is_met_in_tmp_wherever_other_sockets_are(atoms: Atoms, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINETUNA_FLOWS_SOCKET_PATH", str(tmp_path))
        with bad(PLAIN, meet=2.0).build() as parent:
            assert not parent.label(atoms).forces.any()


def test_a_spec_comes_back_from_json() -> None:
    spec = IpiParentSpec("x {name}", "a.py:b", {"k": [1]}, "no", Patience(meet=float("inf")))
    back = MontyDecoder().decode(MontyEncoder().encode(spec))
    assert back == spec
    assert Path(back.calculator.rpartition(":")[0]).is_absolute()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 174", r"ended with exit code 174 \(Intel Fortran's for a segmentation fault"),
        ("kill -9 $$", r"was ended by signal 9 \(SIGKILL\), exit code 137; its last words"),
    ],
)
def test_only_a_real_signal_is_called_one(atoms: Atoms, script: str, words: str) -> None:
    spec = IpiParentSpec(f"sh -c '{script}' {{name}}", f"{ENGINE}:Written")
    with spec.build() as parent, pytest.raises(ParentError, match=words):
        parent.label(atoms)
