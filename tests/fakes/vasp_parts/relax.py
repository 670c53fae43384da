"""Conjugate gradients with a trial and a corrector step along each search direction, as VASP's.

A step of one along a direction moves the atoms by POTIM times the forces, in VASP's units; the
corrector goes where a cubic through two energies and two slopes has its minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .engine import Answer
from .fortran import fixed, row, scientific
from .run import Run
from .structure import Array, Structure

SCALE = 0.09648533
"""Å² per eV and POTIM, found in VASP's own output."""
REACH = 4.0
"""Times the trial step that a corrector may go."""
LONGEST = 10.0
"""Trial step."""


@dataclass(frozen=True)
class Direction:
    """One search direction from a geometry with its free forces."""

    forces: Array
    search: Array
    gamma: float
    trial: float
    scale: float

    def slope(self, forces: Array) -> float:
        """eV per unit of step, downwards."""
        return self.scale * float((forces * self.search).sum())

    def displacement(self, step: float) -> Array:
        """Å, (n, 3)."""
        return step * self.scale * self.search

    def said(self) -> str:
        """The lines on stdout when it is begun."""
        size = self.scale * float((self.forces**2).sum())
        length = self.scale * float((self.search**2).sum())
        return (
            f" curvature:{fixed(0.0, 7, 2)} expect dE={scientific(0.0, 10, 3)}"
            f" dE for cont linesearch {scientific(0.0, 10, 3)}\n"
            f" trial: gam={fixed(self.gamma, 8, 5)} g(F)= {scientific(size, 10, 3)}"
            f" g(S)= {scientific(0.0, 10, 3)} ort ={scientific(0.0, 10, 3)}"
            f" (trialstep ={scientific(self.trial, 10, 3)})\n"
            f" search vector abs. value= {scientific(length, 10, 3)}\n"
        )


@dataclass(frozen=True)
class Trial:
    """What the trial step showed."""

    direction: Direction
    energy: float
    change: float
    slopes: tuple[float, float]

    @property
    def harmonic(self) -> float:
        """Step to the minimum of a parabola through the slopes."""
        begin, end = self.slopes
        reach = REACH * self.direction.trial
        return min(reach, self.direction.trial * begin / (begin - end)) if end < begin else reach

    @property
    def best(self) -> float:
        """Step to the minimum of a cubic, within reach."""
        begin, end, length = *self.slopes, self.direction.trial
        # E(x) = -begin x + a x² + b x³ with E(length) = change and E'(length) = -end
        b = (-(end + begin) * length - 2 * self.change) / length**3
        a = (self.change + begin * length - b * length**3) / length**2
        root = a * a + 3 * b * begin
        if root < 0 or abs(b) * length < 1e-6 * abs(a):
            return self.harmonic
        step = (-a + math.sqrt(root)) / (3 * b)
        return min(step, REACH * length) if step > 0 else self.harmonic

    def texts(self) -> tuple[str, str]:
        """For stdout and for OUTCAR."""
        one, length = self.direction, self.direction.trial
        first = [-length * slope for slope in self.slopes]
        orders = row([sum(first) / 2, *first], 12, 6)
        line = f" trial-energy change:{fixed(self.change, 12, 6)}  1 .order{orders}\n"
        far = float(np.linalg.norm(one.displacement(self.best), axis=1).max())
        gain = -self.slopes[0] * self.best / 2
        after = self.energy - self.change + gain
        said = (
            f"{line} step: {fixed(self.best, 8, 4)}(harm={fixed(self.harmonic, 8, 4)})"
            f"  dis={fixed(far, 8, 5)}  next Energy={fixed(after, 13, 6)}"
            f" (dE={scientific(gain, 10, 3)})\n"
        )
        kind = "Conjugate gradient" if one.gamma else "Steepest descent"
        size = scientific(one.scale * float((one.forces**2).sum()), 9, 3)
        written = (
            f" {kind} step on ions:\n{line}"
            f" g(Force)  = {size}   g(Stress)= {scientific(0.0, 9, 3)}\n"
            f" gamma     = {fixed(one.gamma, 9, 5)}\n trial     = {fixed(length, 9, 5)}\n"
            f" opt step  = {fixed(self.best, 9, 5)}  (harmonic = {fixed(self.harmonic, 9, 5)})"
            f" maximal distance ={fixed(far, 10, 8)}\n"
            f" next E    = {fixed(after, 12, 6)}   (d E  ={fixed(gain, 10, 5)})\n\n\n"
        )
        return said, written


def relax(run: Run, structure: Structure) -> None:
    """Go to the minimum, or as far as NSW allows."""
    scale = SCALE * run.scene.job.potim
    answer = run.evaluate(structure)
    direction = _begin(structure, answer, None, 1.0, scale)
    while not _over(run):
        run.say(direction.said())
        trial, answer = _try(run, structure, direction, answer)
        if _over(run):
            return
        structure = _shifted(structure, direction.displacement(trial.best))
        answer = run.evaluate(structure)
        direction = _begin(structure, answer, direction, min(LONGEST, trial.best), scale)


def _over(run: Run) -> bool:
    return run.reached or run.stop is not None or run.steps >= run.scene.job.nsw


def _shifted(structure: Structure, displacement: Array) -> Structure:
    return structure.moved(structure.positions + displacement @ np.linalg.inv(structure.cell))


def _begin(
    structure: Structure, answer: Answer, last: Direction | None, trial: float, scale: float
) -> Direction:
    forces = structure.released(answer.forces)
    gamma = 0.0
    if last is not None:
        gain = float((forces * (forces - last.forces)).sum())
        gamma = max(0.0, gain / float((last.forces**2).sum()))
        if float((forces * (forces + gamma * last.search)).sum()) <= 0:
            gamma = 0.0
    search = forces + gamma * last.search if last is not None else forces
    return Direction(forces, search, gamma, max(0.05, trial), scale)


def _try(
    run: Run, structure: Structure, direction: Direction, start: Answer
) -> tuple[Trial, Answer]:
    def judge(answer: Answer) -> Trial:
        slopes = (
            direction.slope(direction.forces),
            direction.slope(structure.released(answer.forces)),
        )
        return Trial(direction, answer.free, answer.free - start.free, slopes)

    there = _shifted(structure, direction.displacement(direction.trial))
    answer = run.evaluate(there, lambda answer: judge(answer).texts())
    return judge(answer), answer
