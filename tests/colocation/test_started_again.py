"""The parent's process is started by a launcher or without, and once more where it is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from finetuna_flows.colocation.placement import Placement
from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import AseParentSpec
from tests.colocation.own import asked, engine, own
from tests.contracts.parent import shaken

pytestmark = pytest.mark.usefixtures("here")

TWO = Placement(launcher="mpirun --oversubscribe -n 2")


def test_a_process_that_is_killed_is_started_again_once(atoms: Atoms) -> None:
    with own(engine("Dying", times=1)) as parent, AseParentSpec().build() as emt:
        first = parent.label(atoms)
        second = parent.label(shaken(atoms, seed=1))
        energy = emt.label(shaken(atoms, seed=1)).energy
    assert (first.restarts, second.restarts) == (0, 1)
    assert second.energy == pytest.approx(energy, abs=1e-10)
    assert asked() == 3


def test_a_process_that_is_killed_twice_is_a_parents_failure(atoms: Atoms) -> None:
    words = "exit code 137 and left in .*parent.log: .*the node runs out of memory"
    with own(engine("Dying", times=2)) as parent:
        parent.label(atoms)
        with pytest.raises(ParentError, match=words) as caught:
            parent.label(shaken(atoms, seed=1))
    assert caught.value.retryable
    assert asked() == 3


def test_a_process_that_is_killed_while_it_gets_ready_leaves_its_last_words(atoms: Atoms) -> None:
    words = "exit code 137 and left in .*parent.log: .*the node runs out of memory"
    with own(engine("Unready")) as parent, pytest.raises(ParentError, match=words):
        parent.prepare(atoms)


def test_a_parent_that_is_not_entered_is_not_asked(atoms: Atoms) -> None:
    with pytest.raises(ParentError, match="is not entered; use it as a context manager"):
        own(AseParentSpec()).label(atoms)


@pytest.fixture
def mpirun() -> Iterator[pytest.MonkeyPatch]:
    """Open MPI, which root must be allowed to use."""
    if shutil.which("mpirun") is None:
        pytest.skip("there is no mpirun")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
            patch.setenv(name, "1")
        yield patch


@pytest.mark.slow
def test_a_launcher_of_two_processes_is_refused_for_an_engine_that_is_not_parallel(
    atoms: Atoms, mpirun: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('is hidden')")
    mpirun.syspath_prepend(tmp_path)
    words = "the launcher started 2 processes but ASE sees one, .* leave the launcher out"
    with own(AseParentSpec(), TWO) as parent, pytest.raises(ParentError, match=words):
        parent.prepare(atoms)


@pytest.mark.slow
def test_two_ranks_label_as_one_does(atoms: Atoms, mpirun: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mpi4py")
    with own(engine("Counting"), TWO) as parent, AseParentSpec().build() as emt:
        for seed in range(2):
            moved = shaken(atoms, seed=seed)
            assert_allclose(parent.label(moved).forces, emt.label(moved).forces, atol=1e-10)
            parent.rest()
    assert asked() == 4
    assert parent.paused_time > 0


def test_a_launcher_that_is_not_there_is_named(atoms: Atoms) -> None:
    placement = Placement(launcher="no-such-launcher -n 2")
    words = "exit code 127 and left in .*: no-such-launcher: No such file"
    with own(AseParentSpec(), placement) as parent, pytest.raises(ParentError, match=words):
        parent.prepare(atoms)
