"""An engine that runs in parallel: rank 0 talks to the learner, all of them label."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from importlib import import_module

from ase import Atoms
from ase.parallel import broadcast, world

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.protocols import ParentCalculator

logger = logging.getLogger(__name__)

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables in which launchers tell the number of ranks."""


def is_first() -> bool:
    """Whether this is the process that talks.

    Raises
    ------
    ParentError
        If a launcher has started several that do not know of each other.
    """
    launched = max((int(os.environ.get(name) or 1) for name in SIZES), default=1)
    if launched > 1:
        with suppress(ImportError):
            import_module("mpi4py.MPI")  # by this ASE knows that there are several
    if launched > 1 and world.size == 1:
        raise ParentError(
            f"the launcher started {launched} processes but ASE sees one, so each would compute "
            "the whole; install mpi4py, or leave the launcher out where the engine is not parallel"
        )
    return bool(world.rank == 0)


def tell(atoms: Atoms | None) -> None:
    """Tell the other ranks which geometry is labelled; None: there is no more."""
    if world.size > 1:
        broadcast(atoms)


def follow(parent: ParentCalculator) -> None:
    """Label whatever rank 0 labels, until it says that there is no more."""
    with parent:
        while (atoms := broadcast(None)) is not None:
            try:
                parent.label(atoms)
            except (FinetunaError, ValueError, TypeError):
                logger.exception("rank %d has no label", world.rank)  # rank 0 says so
