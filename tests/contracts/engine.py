"""What every engine that speaks i-PI keeps to as a parent, on top of what every parent does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from jobflow import JobStore, Response
from maggma.stores import MemoryStore
from numpy.testing import assert_allclose

from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.errors import ParentError
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.geometry import Array
from finetuna_flows.processes.tree import STOPPED, ProcessState, descendants
from finetuna_flows.protocols import ParentCalculator, PreparingParent, RestingParent
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.specs import NuclearSpec
from tests.children import wait_until
from tests.colocation.conftest import socket_folders
from tests.contracts.parent import ParentContract, shaken


def is_in(pid: int, folder: Path) -> bool:
    """Whether a process runs below a folder."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve().is_relative_to(folder)
    except OSError:  # it has gone
        return False


class EngineContract(ParentContract):
    """Labels, is paused, crashes, is started again, ends; with the numbers of a run without us."""

    keeps = frozenset({"engine"})
    names: frozenset[str]
    """Of its processes."""
    ends: frozenset[int] = frozenset({0})
    """Its exit codes after it was told to end."""
    units = 1e-6
    """Relative; between energies in the engine's units and in ASE's."""
    turned_tolerance: float | None = None
    """eV and eV/Å; between orientations, of an engine with a grid. None: as for one geometry."""
    alone_tolerance: float | None = None
    """eV/Å; between the forces of a run by itself and ours. None: as for one geometry."""
    fmax = 0.05
    few = 25
    """Labels of a relaxation."""
    """eV/Å; of a relaxation."""

    @classmethod
    @abstractmethod
    def spec(cls) -> IpiParentSpec:
        """The engine, with the smallest settings that have consistent forces."""

    @classmethod
    @abstractmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        """Energy and forces by a run of the same program without a socket, in an empty folder."""

    @classmethod
    @abstractmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        """Arguments that it refuses, and its words."""

    @classmethod
    def build(cls) -> ParentCalculator:
        return cls.spec().build()

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def as_root(cls) -> Iterator[None]:
        """Open MPI of Debian asks for it even without mpirun."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
                patch.setenv(name, "1")
            yield

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path) -> Iterator[None]:
        with contextlib.chdir(tmp_path):
            yield

    def running(self) -> list[ProcessState]:
        """Its processes, of the parent that was built in this test's folder."""
        below = descendants(os.getpid())
        wrappers = {each.parent for each in below if each.name in self.names}
        return [
            each
            for each in below
            if each.name in self.names and each.pid not in wrappers and is_in(each.pid, Path.cwd())
        ]

    def kill(self) -> None:
        for each in self.running():
            os.kill(each.pid, signal.SIGKILL)

    def test_numbers_are_those_of_a_run_by_itself(self, atoms: Atoms, tmp_path: Path) -> None:
        geometries = [shaken(atoms, seed=seed) for seed in range(2)]
        with self.build() as parent:
            labels = [parent.label(each) for each in geometries]
        assert [each.name for each in (tmp_path / "engine").iterdir()] == ["0000"]
        for number, (label, each) in enumerate(zip(labels, geometries, strict=True)):
            folder = tmp_path / str(number)
            folder.mkdir()
            energy, forces = self.alone(each, folder)
            allowed = self.energy_tolerance + self.units * abs(energy)
            assert label.energy == pytest.approx(energy, abs=allowed)
            atol = self.alone_tolerance or self.force_tolerance
            assert_allclose(label.forces, forces, atol=atol, rtol=self.units)

    def test_another_first_geometry_than_the_prepared_one_has_an_engine_of_its_own(
        self, parent: ParentCalculator, atoms: Atoms, tmp_path: Path
    ) -> None:
        moved = shaken(atoms, seed=1)
        with self.build() as other:
            assert isinstance(other, PreparingParent)
            other.prepare(atoms)
            label = other.label(moved)
            other.label(atoms)
        assert label.restarts == 0
        assert label.energy == pytest.approx(parent.label(moved).energy, abs=self.energy_tolerance)
        folders = sorted(each.name for each in (tmp_path / "engine").iterdir())
        assert folders == ["0000", "0001"]

    def test_any_orientation_of_the_cell_has_the_same_label(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        turn, _ = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))
        turn *= np.linalg.det(turn)  # a rotation
        turned = atoms.copy()
        turned.set_constraint()
        turned.set_cell(atoms.cell.array @ turn)
        turned.positions = atoms.positions @ turn
        straight, other = parent.label(atoms), parent.label(turned)
        energy = self.turned_tolerance or self.energy_tolerance
        forces = self.turned_tolerance or self.force_tolerance
        assert other.energy == pytest.approx(straight.energy, abs=energy)
        assert_allclose(other.forces, straight.forces @ turn, atol=forces)

    def test_it_stands_still_while_it_rests(self, atoms: Atoms) -> None:
        with replace(self.spec(), pause="yes").build() as parent:
            assert isinstance(parent, RestingParent)
            first = parent.label(atoms)
            parent.rest()
            before = self.running()
            assert before
            assert {each.state for each in before} == {STOPPED}
            time.sleep(0.5)
            assert [each.cpu for each in self.running()] == [each.cpu for each in before]
            again = parent.label(atoms)
            assert [each.pid for each in self.running()] == [each.pid for each in before]
        assert again.energy == pytest.approx(first.energy, abs=self.energy_tolerance)
        assert getattr(parent, "paused_time", 0.0) > 0.5

    def test_killed_between_labels_it_is_started_again(self, atoms: Atoms, tmp_path: Path) -> None:
        with self.build() as parent:
            first = parent.label(atoms)
            self.kill()
            second = parent.label(atoms)
            third = parent.label(atoms)
        assert (first.restarts, second.restarts, third.restarts) == (0, 1, 0)
        assert second.energy == pytest.approx(first.energy, abs=self.energy_tolerance)
        folders = sorted(each.name for each in (tmp_path / "engine").iterdir())
        assert folders == ["0000", "0001"]

    def test_killed_while_it_computes_it_is_started_again(self, atoms: Atoms) -> None:
        with self.build() as parent:
            parent.label(atoms)
            for each in self.running():
                os.kill(each.pid, signal.SIGSTOP)  # it cannot be quicker than what kills it
            thread = threading.Timer(0.5, self.kill)
            thread.start()
            label = parent.label(shaken(atoms, seed=1))
            thread.join()
        assert label.restarts == 1

    def test_an_input_that_it_refuses_is_told_in_its_words(
        self, atoms: Atoms, tmp_path: Path
    ) -> None:
        arguments, words = self.refused()
        spec = replace(self.spec(), arguments=arguments)
        with spec.build() as parent, pytest.raises(ParentError, match=words) as caught:
            parent.label(atoms)
        assert str(tmp_path / "engine" / "0001" / "engine.log") in str(caught.value)

    def test_killed_after_its_last_label_it_has_done_its_work(
        self, atoms: Atoms, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level("DEBUG", "finetuna_flows.colocation"), self.build() as parent:
            parent.label(atoms)
            self.kill()
            wait_until(lambda: not self.running(), 5.0, "the end of the engine")
        # a daemon of Open MPI may hold its end of the socket for a moment
        assert re.search(r"had ended before it was told to|did with exit code 137", caplog.text)

    def test_it_ends_by_itself_when_it_is_told_to(
        self, atoms: Atoms, caplog: pytest.LogCaptureFixture
    ) -> None:
        doors = socket_folders()
        with caplog.at_level("DEBUG", "finetuna_flows.colocation"), self.build() as parent:
            parent.label(atoms)
        (code,) = re.findall(r"was told to end, and did with exit code (\d+)", caplog.text)
        assert int(code) in self.ends
        assert "started again" not in caplog.text
        assert self.running() == []
        assert socket_folders() <= doors

    def test_a_relaxation_takes_one_engine_and_few_labels(
        self, atoms: Atoms, tmp_path: Path
    ) -> None:
        maker = OnlineRelaxMaker(surrogate=NuclearSpec(), parent=self.spec(), fmax=self.fmax)
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
        ((_, ended),) = run_in_folders(maker.make(atoms), store, tmp_path / "run")
        assert isinstance(ended, Response), ended
        document = RelaxationDoc.model_validate(ended.output)
        assert document.converged
        assert document.parent_calls <= self.few
        assert "by i-PI" in document.level_of_theory
        assert sorted(each.name for each in (tmp_path / "run").rglob("engine/*")) == ["0000"]
