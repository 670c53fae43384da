"""One structure, several methods, one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ase import Atoms
from jobflow import Flow, Maker, OnMissing, job
from pymatgen.core import Structure

from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.flows.imported import ImportedRelaxMaker
from finetuna_flows.flows.job import check_specs
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.results.compare import compare
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc

RelaxMaker = OnlineRelaxMaker | ParentRelaxMaker | WarmStartMaker
"""A Maker whose job asks its `parent`, and returns a `RelaxationDoc`."""
AnyRelaxMaker = RelaxMaker | VaspCgMaker | ImportedRelaxMaker
"""A Maker whose job returns a `RelaxationDoc`."""


@job(output_schema=ComparisonDoc)
def compare_relaxations(
    relaxations: dict[str, RelaxationDoc | None], reference: str
) -> ComparisonDoc:
    """Compare finished relaxations of one structure; a failed one is None and gets its row.

    Parameters
    ----------
    relaxations
        By the name of the Maker that made them.
    reference
        The name that the others are measured against.
    """
    return compare(relaxations, reference)


@dataclass
class CompareMaker(Maker):
    """Relax one structure in several ways and compare what they cost and where they end."""

    name: str = "compare"
    makers: Sequence[AnyRelaxMaker] = field(
        default_factory=lambda: (OnlineRelaxMaker(), ParentRelaxMaker(name="BFGS"))
    )
    """One a method; their names must differ."""
    reference: str | None = None
    """Name of the Maker that the others are measured against; None: the last one."""

    def __post_init__(self) -> None:
        """Refuse what cannot be compared, before anything is submitted."""
        check_specs(self)
        self.makers = tuple(self.makers)
        names = [maker.name for maker in self.makers]
        if len(set(names)) < len(names):
            raise ValueError(f"`makers` are named {names} but each needs a name of its own")
        if not names:
            raise ValueError("`makers` is empty but a comparison needs at least one")
        if self.reference is not None and self.reference not in names:
            raise ValueError(
                f"`reference` is {self.reference!r} but must name one of the makers: {names}"
            )

    def make(self, structure: Structure | Atoms) -> Flow:
        """Make the flow: a job a method, and one that compares even if some of them fail."""
        jobs = {maker.name: maker.make(structure) for maker in self.makers}
        outputs = {name: each.output for name, each in jobs.items()}
        comparison = compare_relaxations(outputs, self.reference or self.makers[-1].name)
        comparison.config.on_missing_references = OnMissing.NONE
        return Flow([*jobs.values(), comparison], output=comparison.output, name=self.name)
