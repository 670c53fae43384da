"""Learner and parent as twin jobs: each with its own worker, resources and deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import Flow, Job, Maker, job
from monty.json import jsanitize
from pymatgen.core import Structure

from finetuna_flows.colocation.kept_labels import NAME as LABELS
from finetuna_flows.colocation.own_process import FOLDER, ServiceProcess
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.rendezvous import PARENT_LEFT, FileRendezvous, Rendezvous
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.colocation.specs import TwinParentSpec, make_order
from finetuna_flows.colocation.twins import Attendance, Meeting
from finetuna_flows.errors import ParentError
from finetuna_flows.flows.compare import RelaxMaker
from finetuna_flows.flows.job import check_specs, continue_from
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.flows.twins import told_to_twin
from finetuna_flows.parents.specs import EmbeddedParentSpec
from finetuna_flows.processes.termination import terminable
from finetuna_flows.protocols import ParentCalculator, Spec
from finetuna_flows.results.build import build_service_doc
from finetuna_flows.results.service import ServiceDoc


@dataclass
class ServeMaker(Maker):
    """Serve a parent to the learner of another job, until that has finished."""

    name: str = "serve parent"
    parent: Spec[ParentCalculator] = field(default_factory=EmbeddedParentSpec)
    """What labels."""
    meeting: Meeting = field(default_factory=Meeting)
    """How the learner is found."""
    placement: Placement = field(default_factory=lambda: Placement(process="own"))
    """How the parent's process is started; its learner's part means nothing here."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self, "parent")
        if isinstance(self.parent, TwinParentSpec):
            raise TypeError("`parent` is a TwinParentSpec, which another job serves; name that one")
        self.tags = tuple(self.tags)

    @job(output_schema=ServiceDoc)
    def make(self, prev_dir: str | Path | None = None) -> ServiceDoc:
        """Make the job.

        Parameters
        ----------
        prev_dir
            Directory of an earlier try, whose labels are not computed again.
        """
        with terminable(), told_to_twin(self, PARENT_LEFT):
            report = self._serve(prev_dir)
        return build_service_doc(
            asdict(report),
            name=self.name,
            tags=self.tags,
            spec=jsanitize(self.as_dict(), strict=True),
            twins=self.meeting.key,
            directory=Path.cwd(),
        )

    def _serve(self, prev_dir: str | Path | None) -> ServiceReport:
        directory = Path.cwd() / FOLDER
        if prev_dir is not None:
            directory.mkdir(exist_ok=True)
            earlier = Path(str(prev_dir).rpartition(":")[2]) / FOLDER
            continue_from(earlier, directory, LABELS)
        order = make_order(self.parent, self.meeting.patience, self.placement)
        Attendance(ServiceProcess(order, directory, self.placement), self.meeting).run()
        report = ServiceReport.read(directory)
        if report is None:
            raise ParentError(f"the parent's process has left no report in {directory}")
        return report


@dataclass
class ColocatedRelaxMaker(Maker):
    """Relax with the learner in one job and its parent in another, which run at the same time.

    No data goes from one job to the other through the workflow engine, so that nothing orders
    them; they must be able to run at once. jobflow's own ``run_locally`` runs one after the other:
    `flows.local.run_in_folders` does not.
    """

    name: str = "colocated relax"
    relax_maker: RelaxMaker = field(default_factory=OnlineRelaxMaker)
    """How to relax. Its `parent` is what the other job serves, its `placement` says what each may
    use of its machine."""
    rendezvous: Rendezvous = field(default_factory=FileRendezvous)
    """Where the jobs leave each other notes: a folder that both see, or the store of results
    (`StoreRendezvous`), where the jobs can reach that."""
    patience: Patience = field(default_factory=Patience)
    """How long each waits for the other."""
    learner_config: Mapping[str, Any] = field(default_factory=dict)
    """For the workflow engine (jobflow's `manager_config`): with jobflow-remote ``{"worker": "gpu",
    "resources": {…}}``, with FireWorks ``{"_category": "gpu"}``."""
    parent_config: Mapping[str, Any] = field(default_factory=dict)
    """The same for the other job."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self)
        if isinstance(getattr(self.relax_maker, "parent", None), TwinParentSpec | None):
            raise TypeError(
                f"`relax_maker` is {self.relax_maker!r} but must be a Maker with a parent that can "
                "be served, such as OnlineRelaxMaker()"
            )

    def make(
        self,
        structure: Structure | Atoms,
        prev_dir: str | Path | None = None,
        parent_prev_dir: str | Path | None = None,
    ) -> Flow:
        """Make the flow; its output is the learner's document.

        Parameters
        ----------
        structure
            With selective dynamics or constraints, and tags where it has an adsorbate.
        prev_dir, parent_prev_dir
            Directories of earlier tries of the learner's and the parent's job, whose labels are
            used again.
        """
        if parent_prev_dir is not None and Path(parent_prev_dir).exists():
            parent_prev_dir = str(Path(parent_prev_dir).absolute())  # the job has another folder
        meeting = Meeting(rendezvous=self.rendezvous, patience=self.patience)
        maker, placement = self.relax_maker, self.relax_maker.placement
        learner = replace(
            maker,
            parent=TwinParentSpec(maker.parent, meeting, placement.interface),
            placement=Placement(learner=placement.learner),
        )
        server = ServeMaker(
            name=f"{maker.name} parent",
            parent=maker.parent,
            meeting=meeting,
            placement=replace(placement, process="own", learner=Placement().learner),
            tags=maker.tags,
        )
        jobs: list[Job] = [learner.make(structure, prev_dir), server.make(parent_prev_dir)]
        for each, config in zip(jobs, (self.learner_config, self.parent_config), strict=True):
            each.config.manager_config = dict(config)
            each.config.expose_store = isinstance(self.rendezvous, StoreRendezvous)
        return Flow([*jobs], output=jobs[0].output, name=self.name)
