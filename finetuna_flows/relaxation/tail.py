"""The last part of a relaxation, on the parent's own forces with the surrogate's Hessian."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from monty.json import MSONable

from finetuna_flows.geometry import Array, fmax, free_components, moved
from finetuna_flows.history import History
from finetuna_flows.protocols import ParentCalculator, Surrogate
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Step
from finetuna_flows.relaxation.on_parent import walk_on_parent
from finetuna_flows.relaxation.optimizers import WITH_A_HESSIAN, check_optimizer
from finetuna_flows.relaxation.run import Run

DISPLACEMENT = 0.01
"""Å; of the central differences, ASE's default for vibrations."""


@dataclass(frozen=True)
class Tail(MSONable):
    """When and how the parent alone finishes a relaxation that the surrogate has begun.

    Near a minimum a surrogate that is not exact at its labels misses the threshold by its own
    error at every endpoint. The parent's forces have none, and the tuned surrogate still knows
    the curvature, up to what the steps themselves then tell.
    """

    below: float = 0.1
    """eV/Å; parent fmax at the best label where the tail begins."""
    optimizer: str = "BFGS"
    """ASE's name: ``BFGS``, or ``BFGSLineSearch``, which asks the parent more than once a step
    where one led uphill."""
    softest: float = 1.0
    """eV/Å²; curvatures that are smaller, or negative ones by their size, count as this."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        check_optimizer(self.optimizer, WITH_A_HESSIAN)
        for name in ("below", "softest"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ValueError(f"`{name}` is {value} but must be a positive number")

    def begins_at(self, step: Step, past: History) -> bool:
        """Whether this step is the best label so far and the parent's forces are small enough."""
        best = past.best_labelled
        is_best = best is not None and best.index == step.index
        return is_best and fmax(step.forces, past.free) <= self.below

    def walk(
        self, near: Atoms, surrogate: Surrogate, parent: ParentCalculator, run: Run
    ) -> StopReason:
        """Go on from a labelled geometry on the parent's forces alone.

        Raises
        ------
        SurrogateError, ParentError, CheckpointError
            As the parts do; the labels so far are on disk.
        """
        began = time.perf_counter()
        hessian = self.hessian(surrogate, near)
        return walk_on_parent(
            near,
            parent,
            self.optimizer,
            run,
            reason=QueryReason.TAIL,
            hessian=hessian,
            prediction_time=time.perf_counter() - began,
        )

    def hessian(self, surrogate: Surrogate, atoms: Atoms) -> Array:
        """The surrogate's Hessian over the free components, made positive definite.

        Central differences of its forces: two predictions a free component.

        Returns
        -------
        Array
            eV/Å², shape (3n, 3n); components that are not free have `softest` on the diagonal.

        Raises
        ------
        SurrogateError
            If it refuses one of the displaced geometries.
        """
        free = np.flatnonzero(free_components(atoms).ravel())
        rows = [self._row(surrogate, atoms, int(component))[free] for component in free]
        block = np.array(rows).reshape(len(free), len(free))
        curvatures, modes = np.linalg.eigh((block + block.T) / 2)
        hessian = self.softest * np.eye(3 * len(atoms))
        hessian[np.ix_(free, free)] = (modes * np.maximum(abs(curvatures), self.softest)) @ modes.T
        return hessian

    @staticmethod
    def _row(surrogate: Surrogate, atoms: Atoms, component: int) -> Array:
        forces = []
        for sign in (1, -1):
            positions = atoms.get_positions()
            positions.flat[component] += sign * DISPLACEMENT
            forces.append(surrogate.predict(moved(atoms, positions)).forces.ravel())
        row: Array = (forces[1] - forces[0]) / (2 * DISPLACEMENT)
        return row
