"""Relaxations that were computed before, as baselines: nothing is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import JobStore, Maker, job
from maggma.core import Store
from monty.json import jsanitize
from pymatgen.core import Structure

from finetuna_flows.errors import FinetunaError
from finetuna_flows.flows.job import relax_job
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from finetuna_flows.relaxation.vasp.task import runs_of_task
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc
from finetuna_flows.structures.connectivity import integrity
from finetuna_flows.structures.read import read_structure


def read_existing(
    path: str | Path, *, fmax: float | None = None, like: Atoms | None = None
) -> Relaxation:
    """Read a relaxation that was done already; what VASP leaves is known here.

    Parameters and errors are those of `relaxation.vasp.read.read_vasp_relaxation`.
    """
    return read_vasp_relaxation(path, fmax=fmax, like=like)


@dataclass
class ImportedRelaxMaker(Maker):
    """Take a calculation that exists already as the relaxation of a structure."""

    name: str = "imported"
    path: str = ""
    """What it left: a directory, a vasprun.xml or an OUTCAR; remembered as an absolute path."""
    fmax: float | None = None
    """eV/Å over the free atoms; it ends at the first geometry that reaches it. None: as far as it
    went, against its own threshold."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot be read, before anything is submitted."""
        if not self.path:
            raise ValueError("`path` is empty but must name what the calculation left")
        if self.fmax is not None:
            check_threshold(self.fmax)
        self.path = str(Path(self.path).absolute())
        self.tags = tuple(self.tags)

    def read(self, atoms: Atoms) -> Relaxation:
        """Read it as the relaxation of `atoms`, whose order, tags and images it gets.

        Raises
        ------
        ValueError
            If it started elsewhere (a StructureError), or is no relaxation.
        ParentError
            If the files are damaged.
        """
        return read_existing(self.path, fmax=self.fmax, like=atoms)

    @relax_job
    def make(
        self, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        """Make the job that reads the relaxation of `structure`.

        Parameters
        ----------
        structure
            Where the calculation started, with tags where it has an adsorbate.
        prev_dir
            Must be None: nothing is computed that an earlier try could save.
        """
        if prev_dir is not None:
            raise ValueError(f"`prev_dir` is {prev_dir} but an import has no use for it")
        return self._document(self.read(read_structure(structure)))

    def document(self, prepare: Callable[[Atoms], Atoms]) -> RelaxationDoc:
        """Read it from its own start, which `prepare` may tag.

        Raises
        ------
        ValueError, ParentError
            As `read`.
        """
        relaxation = read_existing(self.path, fmax=self.fmax)
        start = prepare(relaxation.start)
        found = integrity(start, relaxation.final)
        return self._document(replace(relaxation, start=start, integrity=found))

    def _document(self, relaxation: Relaxation) -> RelaxationDoc:
        path = Path(self.path)
        return build_relaxation_doc(
            relaxation,
            name=self.name,
            spec=jsanitize(self.as_dict(), strict=True),
            tags=self.tags,
            dir_name=path if path.is_dir() else path.parent,
        )


@job(data=list(DATA_KEYS), output_schema=RelaxationDoc)
def keep(document: RelaxationDoc) -> RelaxationDoc:
    """Put a document that exists already into the store of the flow, as a relaxation leaves it."""
    return document


def relaxations_in_store(
    store: Store | JobStore,
    query: Mapping[str, Any] | None = None,
    *,
    fmax: float | None = None,
    like: Atoms | None = None,
) -> Iterator[tuple[str, Relaxation | FinetunaError | ValueError]]:
    """Read atomate2's task documents as relaxations, one after the other.

    Yields the name of each (its task label, or formula, and its uuid) with the relaxation, or with
    the reason why it is none.

    Parameters
    ----------
    store
        Connected. From a JobStore documents are loaded whole, with what lies in its additional
        stores; another store holds the task documents themselves.
    query
        Which ones, as the store's own ``query`` takes it.
    fmax, like
        See `relaxation.vasp.join.join_runs`; with `like`, all must start there.
    """
    criteria = dict(query or {})
    if isinstance(store, JobStore):
        found: Iterator[dict[str, Any]] = store.query(criteria, load=True)
    else:
        found = store.query(criteria)
    for document in found:
        task = document if "calcs_reversed" in document else document.get("output") or {}
        name = _name(document, task)
        try:
            yield name, join_runs(runs_of_task(task, name), fmax=fmax, like=like)
        except (FinetunaError, ValueError) as error:
            yield name, error


def _name(document: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    label = task.get("task_label") or task.get("formula_pretty") or "document"
    key = document.get("uuid") or task.get("task_id") or task.get("dir_name") or ""
    return f"{label} {key}".strip()
