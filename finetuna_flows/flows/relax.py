"""The online relaxation as a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms
from jobflow import Maker
from pymatgen.core import Structure

from finetuna_flows.colocation.placement import Placement
from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.flows.job import check_specs, relax_job, run_relaxation
from finetuna_flows.parents.specs import EmbeddedParentSpec
from finetuna_flows.protocols import ParentCalculator, QueryCriterion, Spec, Surrogate, TunerSpec
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.every_k import EveryK
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.queries.uncertainty import asks_for_uncertainty
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.observers import log_step
from finetuna_flows.relaxation.online import relax_online
from finetuna_flows.relaxation.optimizers import ON_THE_SURROGATE, check_optimizer
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.relaxation.tail import Tail
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import EnsembleSpec, SevenNetSpec


@dataclass
class OnlineRelaxMaker(Maker):
    """Relax with a surrogate that learns on the fly; the parent verifies the endpoint.

    Musielewicz, Wang, Tian, Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022).
    """

    name: str = "online relax"
    surrogate: Spec[Surrogate] = field(default_factory=SevenNetSpec)
    """The prior that the parent's labels correct."""
    tuner: TunerSpec = field(default_factory=ResidualGPSpec)
    """How they do."""
    parent: Spec[ParentCalculator] = field(default_factory=EmbeddedParentSpec)
    """The reference that has the last word."""
    criterion: QueryCriterion = field(
        default_factory=lambda: AnyOf((FirstN(1), Displacement(), EveryK(50)))
    )
    """When to ask the parent, besides before stopping. The last of the default is for priors whose
    energy surface is not smooth: an optimizer can go to and fro on a kink for ever."""
    optimizer: str = "BFGS"
    """ASE's name for it; see `relaxation.optimizers.ON_THE_SURROGATE`."""
    returns_to_best: bool = True
    """Whether a label worse than the best one sends the optimizer back to the best."""
    endpoint_fraction: float = 0.4
    """Of `fmax`: how far the predicted forces fall before the parent verifies an endpoint. Steps
    of the surrogate are cheap, a label just above the threshold is not."""
    tail: Tail | None = None
    """How the parent alone finishes, with the surrogate's Hessian; None: the surrogate leads to the
    end, which took fewer parent calls with the default's tuner (``benchmarks/RESULTS.md``)."""
    fmax: float = 0.03
    """eV/Å over the free atoms, by the parent. The default is that of OC20 and of the paper."""
    limits: Limits = field(default_factory=Limits)
    """What ends the run if it does not converge."""
    placement: Placement = field(default_factory=Placement)
    """Which process, cores and GPUs learner and parent have."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self, "surrogate", "tuner", "parent")
        check_optimizer(self.optimizer, ON_THE_SURROGATE)
        check_threshold(self.fmax)
        if not 0 < self.endpoint_fraction <= 1:
            raise ValueError(
                f"`endpoint_fraction` is {self.endpoint_fraction} but must be above 0, at most 1"
            )
        if not isinstance(self.tail, Tail | None):
            raise TypeError(f"`tail` is {self.tail!r} but must be a Tail, or None")
        if self.tail is not None and self.tail.below <= self.fmax:
            raise ValueError(
                f"`tail` begins below {self.tail.below} eV/Å but must begin above `fmax`, which is "
                f"{self.fmax}"
            )
        knows = isinstance(self.surrogate, EnsembleSpec) or getattr(
            self.tuner, "gives_uncertainty", True
        )
        if asks_for_uncertainty(self.criterion) and not knows:
            raise ValueError(
                "`criterion` asks for the surrogate's uncertainty but `tuner` is a "
                f"{type(self.tuner).__name__}, which gives none; use ResidualGPSpec, or a "
                "StackSpec that ends with one"
            )
        self.tags = tuple(self.tags)

    @relax_job
    def make(
        self, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        """Make the job that relaxes `structure`.

        Parameters
        ----------
        structure
            With selective dynamics or constraints, and tags where it has an adsorbate.
        prev_dir
            Directory of an earlier try whose labels are used instead of asking again.
        """
        surrogate = CompositeSurrogate(self.surrogate.build())
        tuner = self.tuner.build(surrogate)

        def relax(atoms: Atoms, parent: ParentCalculator, ledger: Ledger) -> Relaxation:
            return relax_online(
                atoms,
                surrogate=surrogate,
                tuner=tuner,
                parent=parent,
                criterion=self.criterion,
                ledger=ledger,
                fmax=self.fmax,
                limits=self.limits,
                optimizer=self.optimizer,
                returns_to_best=self.returns_to_best,
                endpoint_fraction=self.endpoint_fraction,
                tail=self.tail,
                observers=(log_step,),
            )

        return run_relaxation(self, structure, prev_dir, self.parent, relax, surrogate)
