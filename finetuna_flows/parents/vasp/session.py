"""One interactive process of VASP, from its start to its end."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array
from finetuna_flows.parents.vasp.agreement import check_filed
from finetuna_flows.parents.vasp.files import OUTCAR, Outcar
from finetuna_flows.parents.vasp.inputs import VaspInputs
from finetuna_flows.parents.vasp.run import VaspRun
from finetuna_flows.parents.vasp.stream import IonicStep
from finetuna_flows.processes.pause import Pause
from finetuna_flows.processes.ranks import RanksError

logger = logging.getLogger(__name__)

STOPCAR = "LABORT = .TRUE.\n"
"""VASP ends within an electronic iteration; LSTOP would have it finish a whole label."""
STOP_PATIENCE = 120.0
"""Seconds for that iteration."""
STOP_PROMPTS = 2
"""Geometries that VASP reads between STOPCAR and its end."""
SAME_FRACTION = 1e-6
"""Of a cell vector; VASP echoes seven decimals."""
EOF_PATIENCE = 10.0
"""Seconds for VASP to end when its input has ended."""


class VaspSession:
    """VASP that answers to one geometry after the other.

    Parameters
    ----------
    run
        Started with the first geometry in its POSCAR.
    inputs
        What it was started with.
    pause
        ``auto``, ``yes`` or ``no``; see `Settings.vasp_pause`.
    """

    def __init__(self, run: VaspRun, inputs: VaspInputs, pause: str) -> None:
        self.inputs = inputs
        self._run = run
        self._outcar = Outcar(run.folder / OUTCAR)
        self._pause = Pause(run.ranks, pause, "VASP")
        self._answers: list[tuple[Atoms, IonicStep]] = []
        self._checked = 0
        self._told = False

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self._run.folder

    @property
    def paused_time(self) -> float:
        """Seconds that the ranks have been stopped."""
        return self._pause.total

    @property
    def is_used_up(self) -> bool:
        """Whether VASP would end after the next answer, by NSW."""
        return len(self._answers) + 1 >= int(self.inputs.incar["NSW"])

    def first(self, atoms: Atoms) -> IonicStep:
        """The answer to the geometry that it was started with.

        Raises
        ------
        ParentError
            If VASP ends, is silent, does not converge or answers with nonsense; nothing of it is
            left running then.
        """
        with self._run.alive():
            return self._answer(atoms)

    def next(self, atoms: Atoms) -> IonicStep:
        """The answer to another geometry; raises as `first` does."""
        with self._run.alive():
            self.resume()
            self._run.send(self.inputs.rows(atoms))
            return self._answer(atoms)

    def pause(self) -> None:
        """Stop the ranks, and see that they are.

        Raises
        ------
        ParentError
            If they are not, and settings say that they must.
        """
        with self._run.alive():
            try:
                self._pause.begin()
            except RanksError as exc:
                raise self._run.failure(f"cannot be paused: {exc}") from exc

    def resume(self) -> None:
        """Let the ranks go on, and see that they do.

        Raises
        ------
        ParentError
            If one of them stays stopped.
        """
        try:
            self._pause.end()
        except RanksError as exc:
            raise self._run.failure(f"does not go on: {exc}", retryable=True) from exc

    def close(self, patience: float = STOP_PATIENCE) -> None:
        """Let VASP end by itself, and compare all its answers with OUTCAR.

        STOPCAR makes it end after one more electronic iteration, which belongs to no label; the
        end of its input, and then a signal, where that does not help.

        Parameters
        ----------
        patience
            Seconds for that iteration.

        Raises
        ------
        ParentError
            If OUTCAR speaks of other positions, energies or forces than standard output did.
        """
        with self._run.alive():
            self.resume()
            self._end(patience)
        self.kill()
        self._compare()
        unchecked = len(self._answers) - self._checked
        if unchecked:
            self._tell_unchecked(f"it does not show {unchecked} of {len(self._answers)} answers")

    def kill(self) -> None:
        """End it now."""
        self._run.program.stop()

    def _answer(self, atoms: Atoms) -> IonicStep:
        step = self._run.answer()
        if step is None:
            raise self._run.ended()
        expected = len(self._answers) + 1
        if step.number != expected:
            raise self._run.failure(
                f"answered with its ionic step {step.number} where {expected} was due, so the "
                "answer belongs to another geometry"
            )
        if step.forces is None:
            raise self._run.failure("answered without forces")
        if step.echoed is not None:
            self._check_echo(atoms, step.echoed)
        self._run.check_converged(step)
        self._answers.append((atoms.copy(), step))
        self._compare()
        return step

    def _check_echo(self, atoms: Atoms, echoed: Array) -> None:
        """Refuse an answer for other positions than were sent."""
        off = echoed - self.inputs.fractions(atoms)
        off = np.abs(off - np.round(off)).max(initial=0.0)
        if not off <= SAME_FRACTION:
            raise self._run.failure(
                f"has read positions that differ by {off:g} of the cell from those sent"
            )

    def _compare(self) -> None:
        """Check answers against the ionic steps that OUTCAR holds by now, if VASP flushes it."""
        for filed in self._outcar.new_steps():
            if self._checked == len(self._answers):
                return  # the step that VASP makes to end itself
            atoms, step = self._answers[self._checked]
            asked = atoms.positions[self.inputs.order]
            check_filed(self._run, asked, np.asarray(atoms.cell), step, filed)
            self._checked += 1
        if self._outcar.unread:
            self._tell_unchecked("its table of forces is none that is known here")

    def _tell_unchecked(self, why: str) -> None:
        """Say once that answers are taken as they are."""
        if not self._told:
            logger.warning(
                "answers of VASP in %s are not all checked against its %s: %s",
                self.folder,
                OUTCAR,
                why,
            )
        self._told = True

    def _end(self, patience: float) -> None:
        atoms, _ = self._answers[-1] if self._answers else (self.inputs.structure, None)
        (self.folder / "STOPCAR").write_text(STOPCAR)
        program = self._run.program
        deadline = time.monotonic() + patience
        try:
            for _ in range(STOP_PROMPTS):
                program.write(self.inputs.rows(atoms), patience)
                if not self._prompts_again(deadline):
                    break
        except TimeoutError:
            logger.warning("VASP in %s does not heed STOPCAR", self.folder)
        program.close_input()
        if program.wait(min(patience, EOF_PATIENCE)) is None:
            logger.warning("VASP in %s does not end with its input; it is killed", self.folder)

    def _prompts_again(self, deadline: float) -> bool:
        """Whether VASP asks for positions once more, or ends."""
        while True:
            line = self._run.program.read_line(max(0.0, deadline - time.monotonic()))
            if line is None:
                return False
            if self._run.stream.wants_positions(line):
                return True
