"""A small co-located relaxation, slow enough to be disturbed: `colocated_relaxation.py WHAT DIR`.

WHAT is ``own`` (the parent in a process of the job), ``twins`` (two jobs, started here), or one of
``learner`` and ``parent``: that job of the twins alone, as a queue would start it. The flow is
written once, by ``write``, so that every try of a job has the same key. What ended each job is left
in ``NAME.json`` in DIR, its notes in ``notes``, its files in a folder of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import Flow, Job, JobStore, Response
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.rendezvous import FileRendezvous
from finetuna_flows.flows.colocated import ColocatedRelaxMaker, ServeMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.fakes.colocated_parts import engine, learner
from tests.systems import oxygen_on_copper

FLOW, NOTES, NOTICES, SOCKETS = "flow.json", "notes", "rendezvous", "s"
FOLDERS = {"learner": "online_relax", "parent": "online_relax_parent"}
"""As `run_in_folders` calls them."""
PATIENCE = Patience(meet=60.0, label=60.0, idle=60.0, close=60.0, grace=10.0)
"""So long that nothing ends by it on a busy machine, unless a test shortens it."""
Ended = Response[Any] | Exception


def maker(directory: Path, placement: Placement) -> OnlineRelaxMaker:
    """Relax so that everything is noted in `directory`."""
    notes = str(directory / NOTES)
    return OnlineRelaxMaker(
        surrogate=AseSurrogateSpec(f"{learner.__file__}:prior", {"notes": notes}),
        tuner=learner.NotingTunerSpec(notes=notes),
        parent=AseParentSpec(f"{engine.__file__}:make", {"notes": notes}),
        criterion=AnyOf((FirstN(1), Displacement(0.5))),
        endpoint_fraction=1.0,
        fmax=0.02,
        placement=placement,
    )


def write(
    what: str, directory: Path, patience: Patience = PATIENCE, atoms: Atoms | None = None
) -> None:
    """Write the flow that all tries run; `what` is ``own``, ``same`` or anything for twins."""
    for name in (NOTES, SOCKETS):
        (directory / name).mkdir(parents=True, exist_ok=True)
    start = atoms or oxygen_on_copper()
    flow: Flow | Job
    if what in ("own", "same"):
        flow = maker(directory, Placement(process=what)).make(start)
    else:
        rendezvous = FileRendezvous(str(directory / NOTICES))
        twins = ColocatedRelaxMaker(
            relax_maker=maker(directory, Placement()), rendezvous=rendezvous, patience=patience
        )
        flow = twins.make(start)
    (directory / FLOW).write_text(json.dumps(flow, cls=MontyEncoder))


def run(what: str, directory: Path, largest_file: int | None = None) -> int:
    """Run what `what` says of the flow in `directory`; how many jobs have failed.

    Parameters
    ----------
    what
        ``own``, ``same``, ``twins``, ``learner`` or ``parent``.
    directory
        Absolute.
    largest_file
        Bytes; what is beyond is refused as if the disk were full.
    """
    os.environ["FINETUNA_FLOWS_SOCKET_PATH"] = str(directory / SOCKETS)
    os.environ.pop("FINETUNA_FLOWS_PARENT_PROCESS", None)
    if largest_file is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    flow = json.loads((directory / FLOW).read_text(), cls=MontyDecoder)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    ended: Iterable[tuple[Job, Ended]]
    if what in FOLDERS:
        job = next(job for job in flow.jobs if (what == "parent") == is_parent(job))
        ended = [(job, run_alone(job, store, directory / FOLDERS[what]))]
    else:
        ended = run_in_folders(flow, store, directory)
    failed = 0
    for job, response in ended:
        _leave(response, directory / f"{'parent' if is_parent(job) else 'learner'}.json")
        failed += isinstance(response, Exception)
    return failed


def run_alone(job: Job, store: JobStore, folder: Path) -> Ended:
    """Run one job in one folder, as a queue does."""
    folder.mkdir(exist_ok=True)
    try:
        with chdir(folder):
            return job.run(store=store)
    except Exception as error:  # noqa: BLE001 - the boundary of the job
        return error


def is_parent(job: Job) -> bool:
    """Whether it serves."""
    return isinstance(job.maker, ServeMaker)


def _leave(response: Ended, path: Path) -> None:
    """Leave what a job has come to, whole or not at all."""
    if isinstance(response, Exception):
        said: dict[str, Any] = {"error": type(response).__name__, "words": str(response)}
    else:
        wanted = ("energy", "parent_calls", "replayed_calls", "recalled_calls", "converged")
        document = response.output
        said = {name: getattr(document, name) for name in wanted if hasattr(document, name)}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(said))
    part.rename(path)


def main(words: list[str]) -> int:
    """``WHAT DIR [BYTES]``, or ``write WHAT DIR``."""
    if words[0] == "write":
        write(words[1], Path(words[2]).resolve())
        return 0
    return run(words[0], Path(words[1]).resolve(), *map(int, words[2:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
