"""What the online relaxation is compared with, as jobs: the parent alone, and a warm start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms
from jobflow import Maker
from pymatgen.core import Structure

from finetuna_flows.colocation.placement import Placement
from finetuna_flows.flows.job import check_specs, relax_job, run_relaxation
from finetuna_flows.parents.specs import EmbeddedParentSpec
from finetuna_flows.protocols import ParentCalculator, Spec, Surrogate
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.direct import relax_on_parent, relax_warm_start
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.observers import log_step
from finetuna_flows.relaxation.optimizers import (
    ON_THE_PARENT,
    ON_THE_SURROGATE,
    check_optimizer,
)
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.specs import SevenNetSpec


@dataclass
class ParentRelaxMaker(Maker):
    """Relax with the parent at every geometry."""

    name: str = "parent relax"
    parent: Spec[ParentCalculator] = field(default_factory=EmbeddedParentSpec)
    """The reference."""
    optimizer: str = "BFGS"
    """ASE's name for it, or ``CG``; see `relaxation.optimizers.ON_THE_PARENT`."""
    fmax: float = 0.03
    """eV/Å over the free atoms."""
    limits: Limits = field(default_factory=Limits)
    """What ends the run if it does not converge."""
    placement: Placement = field(default_factory=Placement)
    """Which process, cores and GPUs learner and parent have."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self, "parent")
        check_optimizer(self.optimizer, ON_THE_PARENT)
        check_threshold(self.fmax)
        self.tags = tuple(self.tags)

    @relax_job
    def make(
        self, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        """Make the job; the parameters are those of `OnlineRelaxMaker.make`."""

        def relax(atoms: Atoms, parent: ParentCalculator, ledger: Ledger) -> Relaxation:
            return relax_on_parent(
                atoms,
                parent=parent,
                ledger=ledger,
                fmax=self.fmax,
                limits=self.limits,
                optimizer=self.optimizer,
                observers=(log_step,),
            )

        return run_relaxation(self, structure, prev_dir, self.parent, relax)


@dataclass
class WarmStartMaker(Maker):
    """Relax on a surrogate that does not learn, then go on with the parent alone."""

    name: str = "warm start relax"
    surrogate: Spec[Surrogate] = field(default_factory=SevenNetSpec)
    """Walks down first."""
    parent: Spec[ParentCalculator] = field(default_factory=EmbeddedParentSpec)
    """Takes over from there."""
    optimizer: str = "BFGS"
    """Of both parts; see `relaxation.optimizers.ON_THE_SURROGATE`."""
    fmax: float = 0.03
    """eV/Å over the free atoms, of both parts."""
    max_surrogate_steps: int = 300
    """After which the parent takes over from a surrogate that does not converge. A guess."""
    limits: Limits = field(default_factory=Limits)
    """What ends the run if it does not converge."""
    placement: Placement = field(default_factory=Placement)
    """Which process, cores and GPUs learner and parent have."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self, "surrogate", "parent")
        check_optimizer(self.optimizer, ON_THE_SURROGATE)
        check_threshold(self.fmax)
        if self.max_surrogate_steps < 1:
            raise ValueError(
                f"`max_surrogate_steps` is {self.max_surrogate_steps} but must be at least 1"
            )
        self.tags = tuple(self.tags)

    @relax_job
    def make(
        self, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        """Make the job; the parameters are those of `OnlineRelaxMaker.make`."""
        surrogate = self.surrogate.build()

        def relax(atoms: Atoms, parent: ParentCalculator, ledger: Ledger) -> Relaxation:
            return relax_warm_start(
                atoms,
                surrogate=surrogate,
                parent=parent,
                ledger=ledger,
                fmax=self.fmax,
                limits=self.limits,
                max_surrogate_steps=self.max_surrogate_steps,
                optimizer=self.optimizer,
                observers=(log_step,),
            )

        return run_relaxation(self, structure, prev_dir, self.parent, relax, surrogate)
