"""Relaxations that VASP has done already, read from what it left.

All tries count, also those that custodian stopped and set aside, and both parts of a double
relaxation: they were all computed.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import ase.io
import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.damage import reading_with_ase
from finetuna_flows.relaxation.vasp.attempt import FinishedRun
from finetuna_flows.relaxation.vasp.ending import UNREADABLE, gave_up
from finetuna_flows.relaxation.vasp.files import (
    VaspFile,
    VaspFiles,
    find_vasp_files,
    other_parts,
)
from finetuna_flows.relaxation.vasp.history import (
    History,
    Part,
    history_of,
    is_same_run,
)
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.merge import merged
from finetuna_flows.relaxation.vasp.outcar import read_outcar
from finetuna_flows.relaxation.vasp.vasprun import read_vasprun
from finetuna_flows.structures.constraints import with_cartesian_constraints

logger = logging.getLogger(__name__)


def read_vasp_relaxation(
    path: str | Path, *, fmax: float | None = None, like: Atoms | None = None
) -> Relaxation:
    """Read a relaxation that VASP did, with every ionic step of every try.

    Parameters
    ----------
    path
        A directory, a vasprun.xml or an OUTCAR, compressed or not; see `find_vasp_files`.
    fmax
        See `join_runs`.
    like
        See `join_runs`.

    Raises
    ------
    ValueError
        If there is nothing of VASP's, or what there is cannot be compared; see `join_runs`.
    ParentError
        If files are damaged so that not one ionic step is complete. What of them is damaged
        otherwise, the log tells.
    """
    runs = read_vasp_runs(path)
    for words in (words for run in runs for words in run.told):
        logger.warning("damaged, left out: %s", words)
    return join_runs(runs, fmax=fmax, like=like)


def read_vasp_runs(path: str | Path) -> list[FinishedRun]:
    """Read every start of VASP that a path holds, in the order of time.

    Archives of custodian's and the parts of a double relaxation belong to it by their names; files
    under other names (``OUTCAR.1``, ``vasprun.xml.old``) and folders (``run1``) where geometry
    shows that they follow one another. The log names those that do not.

    Where there are vasprun.xml and OUTCAR, an ionic step is that of vasprun.xml, with the time of
    OUTCAR, or where one of them has no whole step that of the other. What lies there twice,
    such as the last try in an archive of custodian's too, counts once.

    Raises
    ------
    ValueError, ParentError
        As `read_vasp_relaxation`.
    """
    place = Path(path)
    known = _in_order(_read(files) for files in find_vasp_files(place))
    parts, unread = _other_parts(place, known)
    history = history_of(known, parts) if known else _without_names(place, parts, unread)
    unread += [
        f"{part.name} is not read, and its calls do not count: {why}"
        for part, why in history.left_out
    ]
    for words in unread:
        logger.warning("%s", words)
    *before, last = history.runs
    return [*before, replace(last, notes=(*last.notes, *unread))]


def _in_order(found: Iterable[FinishedRun]) -> list[FinishedRun]:
    """Each run once, in the order of time."""
    runs: list[FinishedRun] = []
    for run in found:
        twin = next((each for each in runs if is_same_run(each, run)), None)
        if twin is None:
            runs.append(run)
        elif len(run.steps) > len(twin.steps):
            runs[runs.index(twin)] = run
    if all(run.started for run in runs):
        runs.sort(key=lambda run: run.started)
    return runs


def _other_parts(place: Path, known: list[FinishedRun]) -> tuple[list[Part], list[str]]:
    """What lies there under other names and is not known yet, and what of it cannot be read.

    Of what is known too, the longer reading is kept, in `known`.
    """
    parts: list[Part] = []
    unread: list[str] = []
    for other in other_parts(place):
        try:
            runs = _in_order(_read(files) for files in other.find())
        except ParentError as exc:
            unread.append(f"{other.name} is not read, and its calls do not count: {exc}")
            continue
        seen = [run for part in parts for run in part.runs]
        new = []
        for run in runs:
            twin = next((each for each in known if is_same_run(each, run)), None)
            if twin is None and not any(is_same_run(each, run) for each in seen):
                new.append(run)
            elif twin is not None and len(run.steps) > len(twin.steps):
                known[known.index(twin)] = run
        if new:
            parts.append(Part(other.name, tuple(new)))
    return parts, unread


def _without_names(place: Path, parts: list[Part], unread: Sequence[str]) -> History:
    """What belongs together where no name tells: all relaxations, in the order of geometry."""
    found = [each for each in parts if not each.runs[-1].settings.motion.obstacles] or parts
    if not found:
        raise ParentError(f"nothing of {place} can be read: {'; '.join(unread)}")
    last = max(found, key=lambda part: part.runs[-1].started)
    history = history_of(last.runs, [each for each in parts if each is not last])
    for part, why in history.left_out:
        if part in found:
            raise ValueError(
                f"{place} holds {part.name} and {last.name}, which do not follow one another: "
                f"{why}; name the one that is meant"
            )
    return history


def _read(files: VaspFiles) -> FinishedRun:
    readers: dict[str, Callable[[IO[bytes], str], FinishedRun]] = {
        "vasprun.xml": read_vasprun,
        "OUTCAR": partial(read_outcar, beside=partial(_beside, files)),
    }
    runs: list[FinishedRun] = []
    failures: list[ParentError] = []
    for kind, reader in readers.items():
        if kind in files:
            try:
                with files[kind].open() as stream:
                    runs.append(reader(stream, files[kind].name))
            except ParentError as exc:
                failures.append(exc)
            except UNREADABLE as exc:  # a damaged archive, or no leave to read it
                failures.append(ParentError(f"{files[kind].name} cannot be read: {exc}"))
    if not runs:
        raise failures[0]
    for failure in failures:
        logger.warning("%s; %s is read instead", failure, runs[0].source)
    run = _constrained(runs[0] if len(runs) == 1 else merged(*runs), files)
    return replace(run, left=_left(run, files), gave_up=run.gave_up or gave_up(files))


def _beside(files: VaspFiles) -> Atoms | None:
    """The geometry in POSCAR, or else in CONTCAR; None where neither can be read."""
    found = (_read_poscar(files[kind]) for kind in ("POSCAR", "CONTCAR") if kind in files)
    return next((atoms for atoms in found if atoms is not None), None)


def _left(run: FinishedRun, files: VaspFiles) -> Array | None:
    """Positions in CONTCAR; None where it is missing, damaged, or of other atoms."""
    if "CONTCAR" not in files:
        return None
    found = _read_poscar(files["CONTCAR"])
    if found is None or not np.array_equal(found.numbers, run.start.numbers):
        return None
    return np.asarray(found.positions, dtype=np.float64)


def _constrained(run: FinishedRun, files: VaspFiles) -> FinishedRun:
    """Take selective dynamics from what lies beside, where the reading has none."""
    if run.start.constraints:
        return run
    for kind in ("POSCAR", "CONTCAR"):
        if kind in files:
            beside = _read_poscar(files[kind])
            if beside is not None and np.array_equal(beside.numbers, run.start.numbers):
                run.start.set_constraint(beside.constraints)
                return replace(run, constraints_known=True)
    return run


def _read_poscar(file: VaspFile) -> Atoms | None:
    """The geometry in a file beside the results; None, with a warning, where it cannot be read."""
    words = f"{file.name} cannot be read"
    try:
        with file.open() as stream:
            text = io.StringIO(stream.read().decode("latin-1"))
        with reading_with_ase(lambda: words):
            atoms = ase.io.read(text, format="vasp")
            assert isinstance(atoms, Atoms)
            return with_cartesian_constraints(atoms)
    except (ParentError, *UNREADABLE) as exc:
        why = str(exc) if isinstance(exc, ParentError) else f"{words}: {exc}"
        logger.warning("%s; what it says is left out", why)
        return None
