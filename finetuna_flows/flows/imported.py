"""Relaxations that were computed before, as baselines: nothing is computed again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import JobStore, Maker
from maggma.core import Store
from monty.json import jsanitize
from pymatgen.core import Structure

from finetuna_flows.errors import FinetunaError, ParentError
from finetuna_flows.flows.job import relax_job
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.read import recordings
from finetuna_flows.relaxation.recorded.recording import Reading, Recording
from finetuna_flows.relaxation.recorded.starts import StartingStructures
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.task import runs_of_task
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.structures.connectivity import integrity
from finetuna_flows.structures.inferred import tell_inferred
from finetuna_flows.structures.read import read_structure

logger = logging.getLogger(__name__)


def read_existing(
    path: str | Path,
    reading: Reading | None = None,
    *,
    fmax: float | None = None,
    like: Atoms | None = None,
) -> Relaxation:
    """Read the one relaxation that a path holds; what is damaged in it, the log tells.

    Parameters
    ----------
    path
        What VASP left, a trajectory, a database: see `relaxation.recorded.formats.kind_of`.
    reading
        How, and which of several; None: as the files say it.
    fmax
        See `Reading.fmax`, which it replaces where it is said.
    like
        See `relaxation.recorded.read.recordings`.

    Raises
    ------
    ValueError
        If there is none, or more than one, or it started elsewhere than `like` (a StructureError).
    ParentError
        If it is damaged so that nothing is left of it.
    """
    how = reading or Reading()
    how = how if fmax is None else replace(how, fmax=fmax)
    found = recordings(path, how, like=like)
    first, second = next(found, None), next(found, None)
    if first is None:
        raise ValueError(f"{path} holds no relaxation of system and method {how.only}; name others")
    if second is not None:
        raise ValueError(
            f"{path} holds several relaxations, as {first.system} {first.method} and "
            f"{second.system} {second.method}; name one of them by system and method (`only`)"
        )
    for words in first.damaged:
        logger.warning("damaged, left out: %s", words)
    if isinstance(first.result, Exception):
        raise first.result
    return first.result


@dataclass
class ImportedRelaxMaker(Maker):
    """Take a calculation that exists already as the relaxation of a structure."""

    name: str = "imported"
    path: str = ""
    """What it left: a directory or vasprun.xml or OUTCAR of VASP's, a trajectory, a database;
    remembered as an absolute path."""
    fmax: float | None = None
    """eV/Å over the free atoms; it ends at the first geometry that reaches it. None: as far as it
    went, against its own threshold, or 0.03."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""
    method: str | None = None
    """How it was relaxed; None: as its files say, else ``imported``."""
    system: str | None = None
    """What to call the structure; None: as the structure itself or the files say."""
    level: str | None = None
    """Level of theory in words; None: as the files say. See `Reading.level`."""
    by: tuple[str, str] | None = None
    """Keys that tell the relaxations of one file apart; see `Reading.by`."""
    only: tuple[str, str] | None = None
    """System and method of the one to take, where there are several."""
    keys: dict[str, str] | None = None
    """What the file calls energy and forces; see `Reading.keys`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be read, before anything is submitted."""
        if not self.path:
            raise ValueError("`path` is empty but must name what the calculation left")
        self.path = str(Path(self.path).absolute())
        self.tags = tuple(self.tags)
        self.by = None if self.by is None else (self.by[0], self.by[1])
        self.only = None if self.only is None else (self.only[0], self.only[1])
        _ = self.reading

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return Reading(
            self.fmax, self.method, self.system, self.level, self.by, self.only, self.keys
        )

    def read(self, atoms: Atoms) -> Relaxation:
        """Read it as the relaxation of `atoms`, whose order, tags and images it gets.

        Raises
        ------
        ValueError
            If it started elsewhere (a StructureError), or is no relaxation.
        ParentError
            If the files are damaged.
        """
        return read_existing(self.path, self.reading, like=atoms)

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
        atoms = read_structure(structure)
        tell_inferred(atoms)
        return self.document(self.read(atoms))

    def document(self, relaxation: Relaxation, damaged: Sequence[str] = ()) -> RelaxationDoc:
        """The document of what was read, and what could not be; its times are those of reading."""
        path = Path(self.path)
        return build_relaxation_doc(
            relaxation,
            name=self.name,
            spec=jsanitize(self.as_dict(), strict=True),
            tags=self.tags,
            dir_name=path if path.is_dir() else path.parent,
            damaged=damaged,
        )


def imported_documents(
    path: Path,
    reading: Reading,
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    prepare: Callable[[Atoms], Atoms],
    starts: StartingStructures | None = None,
) -> Iterator[tuple[Recording, RelaxationDoc | FinetunaError | ValueError]]:
    """Read all relaxations of a path as documents, one after the other.

    Yields each with its document, or with the reason why there is none.

    Parameters
    ----------
    path, reading, starts
        See `relaxation.recorded.read.recordings`, whose errors it raises too.
    name
        What comparisons call the method; None: as the relaxation does.
    tags
        Words to find the documents by.
    prepare
        May tag the start.
    """
    for recording in _guarded(path, recordings(path, reading, starts=starts)):
        found = recording.result
        if isinstance(found, Exception):
            yield recording, found
            continue
        try:
            start = prepare(found.start)
        except ValueError as error:
            yield recording, error
            continue
        tell_inferred(start)
        found = replace(found, start=start, integrity=integrity(start, found.final))
        maker = ImportedRelaxMaker(
            name=name or found.method,
            path=str(path),
            fmax=reading.fmax,
            tags=tuple(tags),
            method=reading.method,
            system=reading.system,
            level=reading.level,
            by=reading.by,
            only=(recording.system, recording.method),
            keys=None if reading.keys is None else dict(reading.keys),
        )
        yield recording, maker.document(found, recording.damaged)


def _guarded(path: Path, found: Iterator[Recording]) -> Iterator[Recording]:
    """Turn whatever else damage makes a reader raise into a ParentError with the path."""
    try:
        yield from found
    except (FinetunaError, ValueError, OSError):
        raise
    except Exception as exc:
        raise ParentError(f"{path} cannot be read: {type(exc).__name__}: {exc}") from exc


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
