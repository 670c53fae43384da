"""ASE's optimizers by name, and how they move when the surface under them is learned anew."""

from __future__ import annotations

import logging
from collections.abc import Callable

import ase.optimize
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS, BFGSLineSearch
from ase.optimize.optimize import Optimizer
from ase.optimize.sciopt import OptimizerConvergenceError, SciPyFminCG

from finetuna_flows.geometry import Array
from finetuna_flows.history import History
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Frame, Step
from finetuna_flows.relaxation.calculator import StepCalculator, Stopped

logger = logging.getLogger(__name__)

ON_THE_SURROGATE = (
    "BFGS", "LBFGS", "FIRE", "FIRE2", "MDMin", "BFGSLineSearch", "LBFGSLineSearch", "RFO",
)  # fmt: skip
"""Optimizers that can go on when the surface changes under them."""
ON_THE_PARENT = (*ON_THE_SURROGATE, "GPMin", "CG")
"""Optimizers for a surface that stays as it is; CG is SciPy's Polak-Ribière."""
WITH_A_HESSIAN = ("BFGS", "BFGSLineSearch")
"""Optimizers that can be told the Hessian to begin with."""


def check_optimizer(name: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not among `known`.

    Raises
    ------
    ValueError
        Naming those that are.
    """
    if name not in known:
        raise ValueError(f"`optimizer` is {name!r} but must be one of {', '.join(known)}")


def descend(
    start: Atoms,
    optimizer: str,
    evaluate: Callable[[Atoms], Step],
    may_stop: Callable[[Step], StopReason | None],
    history: History,
    *,
    surface_learns: bool = False,
    hessian: Array | None = None,
) -> StopReason:
    """Move downhill from `start` until a step may be the last.

    An optimizer that divides by zero, or no longer moves, starts afresh where it is: the surface
    is flat or has a kink there. If it cannot even take one step then, it has given up.

    Parameters
    ----------
    start
        Left as it is.
    optimizer
        A name from `ON_THE_PARENT`.
    evaluate, may_stop
        Take a step, and say why it is the last one.
    history
        Where `evaluate` puts the steps.
    surface_learns
        After each label the optimizer then starts afresh and remembers only what the parent said
        (the paper's rule for the Hessian of BFGS), and moves on from where the history says.
    hessian
        eV/Å², shape (3n, 3n), positive definite; what an optimizer of `WITH_A_HESSIAN` begins
        with. None: its own guess.
    """
    atoms = start.copy()
    atoms.calc = StepCalculator(evaluate, may_stop)
    try:
        with np.errstate(divide="raise", invalid="raise"):
            known = -1
            while len(history) > known:
                known = len(history)
                if surface_learns:
                    if history.origin is not None and not history.steps_since_label:
                        atoms.positions = history.origin.positions
                    _move(_remembering(optimizer, atoms, history), history, until_label=True)
                if len(history) == known:
                    _move(_make(optimizer, atoms, hessian), history, until_label=surface_learns)
                    hessian = None
    except Stopped as stopped:
        return stopped.reason
    except (OptimizerConvergenceError, RuntimeError) as error:
        if not _of_optimizer(error):
            raise
        logger.info("the optimizer gave up: %s", error)
    return StopReason.OPTIMIZER_GAVE_UP


def _move(optimizer: Optimizer, history: History, *, until_label: bool) -> None:
    """Move until the optimizer is stuck, or a label has changed the surface."""
    calls, steps = history.parent_calls, -1
    try:
        if isinstance(optimizer, SciPyFminCG):
            optimizer.run(fmax=0.0)
            return
        for _ in optimizer.irun(fmax=0.0):
            if len(history) == steps or (until_label and history.parent_calls > calls):
                return
            steps = len(history)
    except FloatingPointError:
        logger.debug("step %d: the optimizer divided by zero and starts afresh", len(history))


def _remembering(name: str, atoms: Atoms, history: History) -> Optimizer:
    """Make an optimizer that knows the labels, where it can remember and they have curvature."""
    optimizer = _make(name, atoms)
    if history.parent_calls and hasattr(optimizer, "_replay_trajectory"):
        try:
            optimizer.replay_trajectory([_image(frame) for frame in history.frames])
        except FloatingPointError:
            return _make(name, atoms)
    return optimizer


def _of_optimizer(error: Exception) -> bool:
    """Whether ASE's optimizer itself raised it, and not what it evaluated."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return where.startswith(("ase.optimize", "ase.utils.linesearch"))


def _image(frame: Frame) -> Atoms:
    atoms: Atoms = frame.atoms.copy()
    label = frame.label
    atoms.calc = SinglePointCalculator(atoms, energy=label.energy, forces=label.forces)
    return atoms


def _make(name: str, atoms: Atoms, hessian: Array | None = None) -> Optimizer:
    kind: type[Optimizer] = SciPyFminCG if name == "CG" else getattr(ase.optimize, name)
    optimizer: Optimizer = kind(atoms, logfile=None)
    if isinstance(optimizer, BFGSLineSearch) and hessian is not None:
        # it keeps the inverse, of the energy over alpha, and updates it after the first step
        known = {
            "H": optimizer.alpha * np.linalg.inv(hessian),
            "r0": atoms.positions.ravel(),
            "g0": np.zeros(3 * len(atoms)),
        }
        vars(optimizer).update(known)
    elif isinstance(optimizer, BFGS) and hessian is not None:
        optimizer.H0 = hessian
    return optimizer
