"""From a Maker's words to a finished document: what every relaxation job does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import Job, Maker, job
from monty.json import jsanitize
from pymatgen.core import Structure
from threadpoolctl import threadpool_limits

from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.specs import check_launcher, place
from finetuna_flows.errors import CheckpointError
from finetuna_flows.flows.identity import identity_of
from finetuna_flows.flows.twins import told_to_twin
from finetuna_flows.processes.termination import terminable
from finetuna_flows.protocols import (
    CorrectableSurrogate,
    ParentCalculator,
    PreparingParent,
    Spec,
    Surrogate,
)
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME, Ledger
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.documents import DATA_KEYS, RelaxationDoc
from finetuna_flows.results.files import write_files
from finetuna_flows.settings import Settings
from finetuna_flows.structures.inferred import tell_inferred
from finetuna_flows.structures.read import read_structure, to_portable
from finetuna_flows.structures.validate import check_elements, check_structure

Relax = Callable[[Atoms, ParentCalculator, Ledger], Relaxation]
MakeJob = Callable[..., Job]


def relax_job(method: Callable[..., RelaxationDoc]) -> MakeJob:
    """Turn a Maker's `make` into one that returns a Job; ASE Atoms are made storable on the way.

    Trajectory and ledger go to the store called ``data``. The job takes the learner's seat of the
    Maker's placement, and tells a twin why it ended if it fails.
    """

    @wraps(method)
    def placed(
        maker: Maker, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        with terminable(), told_to_twin(maker), placement_of(maker).learner.taken():
            return method(maker, structure, prev_dir)

    make_job = job(placed, data=list(DATA_KEYS), output_schema=RelaxationDoc)

    @wraps(method)
    def make(maker: Maker, structure: Structure | Atoms, prev_dir: str | Path | None = None) -> Job:
        if prev_dir is not None and Path(prev_dir).exists():
            prev_dir = str(Path(prev_dir).absolute())  # the job runs in a folder of its own
        portable = to_portable(structure) if isinstance(structure, Atoms) else structure
        made: Job = make_job(maker, portable, prev_dir=prev_dir)
        return made

    make.original = placed  # type: ignore[attr-defined]  # by this jobflow knows the Maker
    return make


def run_relaxation(
    maker: Maker,
    structure: Structure | Atoms,
    prev_dir: str | Path | None,
    parent: Spec[ParentCalculator],
    relax: Relax,
    surrogate: Surrogate | None = None,
) -> RelaxationDoc:
    """Check, relax in the working directory, and document.

    Parameters
    ----------
    maker
        Its fields are the spec, of which `identity_of` says what identifies the run.
    structure
        Where to start.
    prev_dir
        Directory of an earlier try whose labels are used instead of asking the parent again.
    parent
        What labels.
    relax
        What to do once all is checked.
    surrogate
        Asked which elements it knows; None for a method that has none.

    Raises
    ------
    StructureError, ElementError
        Before any work.
    CheckpointError
        If the directory belongs to another run.
    """
    atoms = read_structure(structure)
    check_structure(atoms)
    tell_inferred(atoms)
    spec: dict[str, Any] = jsanitize(maker.as_dict(), strict=True)
    directory = Path.cwd()
    if prev_dir is not None:
        continue_from(prev_dir, directory, LEDGER_NAME)
    with (
        threadpool_limits(Settings().threads),
        place(parent, placement_of(maker)) as calculator,
    ):
        check_known(atoms, surrogate, calculator)
        identity = identity_of(maker, spec, calculator, atoms)
        with Ledger(directory, identity) as ledger:
            relaxation = relax(atoms, calculator, ledger)
    write_files(relaxation, directory)
    return build_relaxation_doc(
        relaxation,
        name=maker.name,
        spec=spec,
        tags=getattr(maker, "tags", ()),
        dir_name=str(directory),
        paused_time=getattr(calculator, "paused_time", 0.0),
    )


def placement_of(maker: Maker) -> Placement:
    """Where a Maker has its halves run."""
    return getattr(maker, "placement", Placement())


def check_specs(maker: Maker, *names: str) -> None:
    """Refuse a Maker whose fields hold something else than specs.

    Raises
    ------
    TypeError
        Naming the field and what it needs.
    ValueError
        If a launcher is said for a parent that starts its programs itself.
    """
    if not isinstance(maker.name, str):
        raise TypeError(f"`name` is {maker.name!r} but must be a string; give fields by name")
    for name in names:
        spec = getattr(maker, name)
        if not callable(getattr(spec, "build", None)):
            raise TypeError(f"`{name}` is {spec!r} but must be a spec, such as AseParentSpec()")
        if name == "parent":
            check_launcher(spec, placement_of(maker))


def check_known(atoms: Atoms, surrogate: Surrogate | None, parent: ParentCalculator) -> None:
    """Refuse elements that the surrogate or the parent does not know, and settings that fail here.

    Raises
    ------
    ElementError
        Naming them, and what is known.
    ParentError, ValueError
        If the parent's settings do not suit the structure.
    """
    check_elements(
        atoms,
        surrogate.elements if surrogate else None,
        parent.elements,
        surrogate_name=_name(surrogate),
        parent_name=parent.level,
    )
    if isinstance(parent, PreparingParent):
        parent.prepare(atoms)


def _name(surrogate: Surrogate | None) -> str:
    prior = surrogate.prior if isinstance(surrogate, CorrectableSurrogate) else surrogate
    return type(prior).__name__ if prior else "none"


def continue_from(prev_dir: str | Path, directory: Path, name: str) -> None:
    """Copy the file of an earlier try, unless the directory has one of its own.

    Parameters
    ----------
    prev_dir
        Where the earlier try ran; a host before it, as in ``dir_name``, is left out.
    directory
        Where this one runs.
    name
        Of the file that keeps what was done.

    Raises
    ------
    CheckpointError
        If the earlier try left no such file.
    """
    previous = Path(str(prev_dir).rpartition(":")[2])
    source, target = previous / name, directory / name
    if not source.is_file():
        raise CheckpointError(
            f"`prev_dir` is {previous} but holds no {name}; name the directory of an earlier try "
            "of the same work, or leave it out"
        )
    if not target.exists():
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        part.rename(target)  # whole or not at all
