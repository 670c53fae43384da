"""One run of the program: the ionic steps and all files that they write."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import outcar, printed, saved, vasprun
from .engine import Answer, Engine
from .faults import Faults, break_down
from .fortran import InputError, row
from .ranks import burn
from .scene import Scene
from .scf import LEAST_WARM, Cycle, cycles, starting_error
from .streams import Stream
from .structure import Structure, contcar

Remark = Callable[[Answer], tuple[str, str]]
"""What is to be added to stdout and to OUTCAR after an answer."""
BLOCK = 4096
"""Bytes; vasprun.xml has twice as many."""
DELAY = 5
"""Cycles from nothing before the charge density is mixed."""


@dataclass(frozen=True)
class Stop:
    """What STOPCAR asked for."""

    kind: str
    """``hard`` or ``soft``."""

    @property
    def line(self) -> str:
        """As it is printed."""
        return f" {self.kind} stop encountered!  aborting job ...\n"


def requested_stop() -> Stop | None:
    """What the file STOPCAR asks for, if it is there."""
    path = Path("STOPCAR")
    words = path.read_text().upper().replace(" ", "").replace(".", "") if path.is_file() else ""
    if "LABORT=T" in words:
        return Stop("hard")
    return Stop("soft") if "LSTOP=T" in words else None


class Run:
    """Answers for geometries and writes everything down."""

    def __init__(
        self, scene: Scene, engine: Engine, faults: Faults, known: Structure | None
    ) -> None:
        self.scene = scene
        self.steps = 0
        self.stop: Stop | None = None
        self.reached = False
        """Whether EDIFFG says that this is the end."""
        self._engine, self._faults, self._known = engine, faults, known
        self._before: Answer | None = None
        self._began = time.monotonic()
        block = BLOCK if scene.switches.buffer else 0
        self._stdout = Stream(1, block=BLOCK if scene.switches.buffer == "block" else 0)
        self._outcar = Stream(Path("OUTCAR"), block=block)
        self._vasprun = Stream(Path("vasprun.xml"), block=2 * block)
        self._oszicar = Stream(Path("OSZICAR"))
        self.say(printed.heading(scene))
        self._outcar.write(outcar.head(scene))
        self._vasprun.write(vasprun.head(scene))
        for name, wanted in {"WAVECAR": scene.job.lwave, "CHGCAR": scene.job.lcharg}.items():
            if wanted:
                Path(name).touch()

    def say(self, text: str) -> None:
        """Write to stdout."""
        self._stdout.write(text)
        self._stdout.flush()

    def evaluate(self, structure: Structure, remark: Remark = lambda _: ("", "")) -> Answer:
        """Do one ionic step."""
        self.steps += 1
        faults = self._faults.due(self.steps)
        number = self.steps - ("stale" in faults)
        times = time.process_time(), time.monotonic()
        if self.steps > 1 and self.scene.job.predicts:
            self.say(" bond charge predicted\n")
        answer = self._engine.answer(structure)
        if "stale" in faults:
            if self._before is None:
                raise InputError("FAKE_VASP_FAULT asks for stale but no step came before; use @2")
            answer = replace(self._before, error=0.0)
        answer = self._converge(number, structure, answer, faults)
        self._check_end(structure, answer)
        self._report(number, structure, answer, faults, remark, times)
        self._known, self._before = structure, answer
        return answer

    def _converge(
        self, number: int, structure: Structure, answer: Answer, faults: frozenset[str]
    ) -> Answer:
        job = self.scene.job
        warm = self._known is not None
        planned = cycles(
            starting_error(structure, self._known),
            ediff=job.ediff,
            nelm=job.nelm,
            least=max(job.nelmin, LEAST_WARM) if warm else job.nelmin,
            stuck="unconverged" in faults,
        )
        self.say(f"{printed.COLUMNS}\n")
        note = f"    ({self.scene.switches.sentence})" if self.steps == 1 else ""
        self._oszicar.write(f"{printed.COLUMNS}{note}\n")
        self._vasprun.write(" <calculation>\n")
        total = self._before.free if self._before else 0.0
        for cycle in planned:
            burn(self.scene.switches.cycle_time)
            if cycle.number == len(planned) // 2 + 1:
                break_down(faults, self.say)
            current = answer.left(cycle.error)
            converged = cycle is planned[-1] and abs(cycle.change) < job.ediff
            change = current.free - total if cycle.number == 1 else cycle.change
            mixes = not converged and (warm or cycle.number >= DELAY)
            self._record(number, cycle, current, change, mixes=mixes)
            self.stop = requested_stop()
            if self.stop and self.stop.kind == "hard":
                break
        if self.stop:
            self.say(self.stop.line)
            self._outcar.write(self.stop.line)
        elif not converged and self.scene.switches.number >= (6,):
            self.say(printed.not_converged())
        hard = self.stop is not None and self.stop.kind == "hard"
        if converged or hard:
            self._outcar.write(outcar.ended("hard stop was set" if hard else "EDIFF is reached"))
        return current

    def _record(
        self, number: int, cycle: Cycle, current: Answer, change: float, *, mixes: bool
    ) -> None:
        line = printed.cycle_line(self.scene, cycle, current.free, change, mixes=mixes)
        self.say(line)
        self._oszicar.write(line)
        energies = current.free, current.bare, current.zero
        cpu = self.scene.switches.cycle_time
        self._outcar.write(outcar.cycle(self.scene, number, cycle, energies, cpu))
        self._vasprun.write(vasprun.cycle(*energies, cpu))

    def _check_end(self, structure: Structure, answer: Answer) -> None:
        job = self.scene.job
        if job.ibrion == -1 or job.ediffg == 0:
            return
        if job.ediffg > 0:
            change = answer.free - self._before.free if self._before else np.inf
            self.reached = abs(change) < job.ediffg
        else:
            largest = np.linalg.norm(structure.released(answer.forces), axis=1).max()
            self.reached = bool(largest < -job.ediffg)

    def _report(
        self,
        number: int,
        structure: Structure,
        answer: Answer,
        faults: frozenset[str],
        remark: Remark,
        times: tuple[float, float],
    ) -> None:
        shown, where = _spoilt(answer, structure, faults)
        line = printed.summary_line(
            self.scene, number, shown, self._before.free if self._before else None
        )
        said, written = remark(answer)
        end = printed.REACHED if self.reached else ""
        cpu, real = time.process_time() - times[0], time.monotonic() - times[1]
        self._oszicar.write(line)
        self._outcar.write(outcar.ionic(self.scene, where, shown) + written + end)
        self._outcar.write(outcar.loop_end(cpu, real))
        self._vasprun.write(vasprun.ionic(self.scene, where, shown, cpu, levels=self.steps == 1))
        if "truncate" in faults:
            self._outcar.cut()
            self._vasprun.cut()
        for stream in (self._oszicar, self._outcar, self._vasprun):
            stream.flush()
        self._write_geometry(structure)
        forces = printed.force_block(shown.forces) if self.scene.job.interactive else ""
        self.say(forces + line + said + end)

    def _write_geometry(self, structure: Structure) -> None:
        sentence = self.scene.switches.sentence
        text = contcar(structure, sentence)
        Path("CONTCAR").write_text(text)
        with Path("XDATCAR").open("w" if self.steps == 1 else "a") as file:
            if self.steps == 1:
                file.write("".join(text.splitlines(keepends=True)[:7]))
            file.write(f"Direct configuration={self.steps:6d}\n")
            file.writelines(f"{row(position, 12, 8)}\n" for position in structure.positions)

    def finish(self) -> None:
        """Write what is left."""
        job, known = self.scene.job, self._known
        assert known is not None
        sentence = self.scene.switches.sentence
        if job.lwave:
            self.say(" writing wavefunctions\n")
            saved.write_wavecar(Path("WAVECAR"), known, sentence)
        if job.lcharg:
            saved.write_chgcar(Path("CHGCAR"), known, self.scene.electrons, sentence)
        if self.stop:
            self.say(" deleting file STOPCAR\n")
            Path("STOPCAR").unlink(missing_ok=True)
        self._outcar.write(outcar.tail(self._began))
        self._vasprun.write(vasprun.tail(known))
        for stream in (self._stdout, self._outcar, self._vasprun, self._oszicar):
            stream.close()


def _spoilt(
    answer: Answer, structure: Structure, faults: frozenset[str]
) -> tuple[Answer, Structure]:
    """What is shown where a fault spoils it: the answer, and the geometry in the files."""
    forces = answer.forces
    if "nan" in faults:
        forces = np.full_like(forces, np.nan)
    if "stars" in faults:
        forces = np.full_like(forces, 1e12)
    if "atoms" in faults:
        forces = forces[:-1]
    where = (
        structure.moved(structure.positions + 0.01) if "wrong_positions" in faults else structure
    )
    return replace(answer, forces=forces), where
