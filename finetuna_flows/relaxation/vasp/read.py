"""Relaxations that VASP has done already, read from what it left.

All tries count, also those that custodian stopped and set aside, and both parts of a double
relaxation: they were all computed.
"""

from __future__ import annotations

import io
import logging
import lzma
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.vasp.attempt import FinishedRun, FinishedStep
from finetuna_flows.relaxation.vasp.files import VaspFile, VaspFiles, find_vasp_files
from finetuna_flows.relaxation.vasp.join import join_runs
from finetuna_flows.relaxation.vasp.outcar import read_outcar
from finetuna_flows.relaxation.vasp.vasprun import read_vasprun
from finetuna_flows.structures.constraints import without_scaled

logger = logging.getLogger(__name__)

SAME_ENERGY = 1e-3
"""eV by which F of one ionic step may differ between vasprun.xml and OUTCAR."""


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
        If files are damaged so that not one ionic step is complete.
    """
    return join_runs(read_vasp_runs(path), fmax=fmax, like=like)


def read_vasp_runs(path: str | Path) -> list[FinishedRun]:
    """Read every start of VASP that a path holds, in the order of time.

    Where there are vasprun.xml and OUTCAR, the one with more complete ionic steps is followed,
    which is vasprun.xml if they have the same, with the times of OUTCAR. What lies there twice,
    such as the last try in an archive of custodian's too, counts once.

    Raises
    ------
    ValueError, ParentError
        As `read_vasp_relaxation`.
    """
    runs: list[FinishedRun] = []
    for files in find_vasp_files(Path(path)):
        run = _read(files)
        twin = next((each for each in runs if _is_same(each, run)), None)
        if twin is None:
            runs.append(run)
        elif len(run.steps) > len(twin.steps):
            runs[runs.index(twin)] = run
    if all(run.started for run in runs):
        runs.sort(key=lambda run: run.started)
    return runs


def _read(files: VaspFiles) -> FinishedRun:
    readers = {"vasprun.xml": read_vasprun, "OUTCAR": read_outcar}
    runs: list[FinishedRun] = []
    failures: list[ParentError] = []
    for kind, reader in readers.items():
        if kind in files:
            try:
                with files[kind].open() as stream:
                    runs.append(reader(stream, files[kind].name))
            except ParentError as exc:
                failures.append(exc)
            except (OSError, lzma.LZMAError) as exc:  # a damaged archive, or no leave to read it
                failures.append(ParentError(f"{files[kind].name} cannot be read: {exc}"))
    if not runs:
        raise failures[0]
    for failure in failures:
        logger.warning("%s; %s is read instead", failure, runs[0].source)
    return _constrained(runs[0] if len(runs) == 1 else _merged(*runs), files)


def _merged(xml: FinishedRun, outcar: FinishedRun) -> FinishedRun:
    """One run of two readings of it."""
    pairs = list(zip(xml.steps, outcar.steps, strict=False))
    for number, (one, other) in enumerate(pairs, start=1):
        if abs(one.label.force_energy - other.label.force_energy) > SAME_ENERGY:
            raise ParentError(
                f"{xml.source} and {outcar.source} are not of one calculation: F of ionic step "
                f"{number} is {one.label.force_energy} and {other.label.force_energy} eV; "
                "name the one that is meant"
            )
    timed = [
        replace(one, label=replace(one.label, wall_time=other.label.wall_time))
        for one, other in pairs
    ]
    if len(outcar.steps) <= len(xml.steps):
        return replace(xml, steps=(*timed, *xml.steps[len(pairs) :]))
    return replace(xml, steps=(*timed, *outcar.steps[len(pairs) :]))


def _constrained(run: FinishedRun, files: VaspFiles) -> FinishedRun:
    """Take selective dynamics from what lies beside, where the reading has none."""
    if run.start.constraints:
        return run
    for kind in ("POSCAR", "CONTCAR"):
        if kind in files:
            beside = _read_poscar(files[kind])
            if np.array_equal(beside.numbers, run.start.numbers):
                run.start.set_constraint(beside.constraints)
                return replace(run, constraints_known=True)
    return run


def _read_poscar(file: VaspFile) -> Atoms:
    with file.open() as stream:
        text = io.TextIOWrapper(stream, encoding="latin-1")
        try:
            atoms = ase.io.read(text, format="vasp")
        except (ValueError, IndexError, RuntimeError) as exc:
            raise ParentError(f"{file.name} cannot be read: {exc}") from exc
    assert isinstance(atoms, Atoms)
    return without_scaled(atoms)


def _is_same(one: FinishedRun, other: FinishedRun) -> bool:
    """Whether two readings are of one start of VASP, one of them perhaps at an earlier time."""
    return (
        bool(one.started)
        and one.started == other.started
        and all(map(_same_step, one.steps, other.steps))
    )


def _same_step(one: FinishedStep, other: FinishedStep) -> bool:
    mine, theirs = one.label, other.label
    return (mine.force_energy, mine.wall_time) == (theirs.force_energy, theirs.wall_time)
