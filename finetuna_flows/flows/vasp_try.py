"""Run VASP's own relaxation with atomate2 and custodian, unless it is there already."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Mapping
from copy import deepcopy
from os.path import expandvars
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.formats import open_with_compression
from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.run import run_vasp
from custodian.custodian import CustodianError, ReturnCodeError, ValidationError
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from finetuna_flows.errors import ParentError
from finetuna_flows.flows.vasp_folder import (
    STARTED_FROM,
    as_atomates,
    check_inputs,
    inputs_of,
    set_try_aside,
)
from finetuna_flows.parents.specs import InputSetGenerator
from finetuna_flows.parents.vasp.command import is_stand_in, vasp_command
from finetuna_flows.parents.vasp.fresh import CARRIED
from finetuna_flows.parents.vasp.inputs import sorted_for
from finetuna_flows.processes.guarded import guarded
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation

logger = logging.getLogger(__name__)

FINISHED = (StopReason.CONVERGED, StopReason.MAX_STEPS)
WORDS = ("std_err.txt", "vasp.out")
"""Where VASP says why it ended."""
TAIL = 5
"""Lines of those that an error repeats."""


def relax_with_vasp(
    structure: Structure,
    *,
    like: Atoms,
    generator: InputSetGenerator,
    fmax: float,
    directory: Path,
    previous: Path | None,
    run_vasp_kwargs: Mapping[str, Any],
    write_input_set_kwargs: Mapping[str, Any],
) -> Relaxation:
    """Relax in `directory`, or read what an earlier try of the same has left there.

    Parameters
    ----------
    structure
        What the input set is for.
    like
        The same, in the order that the relaxation shall have.
    generator
        Makes the inputs; EDIFFG is `fmax`.
    fmax
        eV/Å.
    directory
        The working directory.
    previous
        Directory of an earlier try; see `VaspCgMaker.make`.
    run_vasp_kwargs, write_input_set_kwargs
        See `VaspCgMaker`.

    Raises
    ------
    ValueError
        If the inputs ask for something else than a relaxation in a fixed cell.
    CheckpointError
        If the directory holds a run of other inputs.
    ParentError
        If there is no command, or VASP failed; what it computed stays in the directory.
    """
    command, running = _commands(run_vasp_kwargs)
    writing = {"potcar_spec": is_stand_in(command), **write_input_set_kwargs}
    structure = sorted_for(generator, structure)
    inputs = check_inputs(structure, generator, writing)
    for earlier in (directory, previous):
        found = _finished(earlier, inputs, fmax, like) if earlier else None
        if found is not None:
            logger.info("the finished run of the same inputs in %s is imported", earlier)
            return found
    reached = set_try_aside(directory, inputs)
    if previous is not None:
        _begin_with(previous, directory)
    write_vasp_input_set(structure, as_atomates(generator), directory, **writing)
    if reached is not None:
        shutil.copyfile(directory / "POSCAR", directory / STARTED_FROM)
        Poscar(reached).write_file(directory / "POSCAR")
        logger.info("the relaxation in %s goes on where it was interrupted", directory)
    _run(directory, running)
    return read_vasp_relaxation(directory, fmax=fmax, like=like)


def check_relaxation(
    structure: Structure,
    generator: InputSetGenerator,
    run_vasp_kwargs: Mapping[str, Any],
    write_input_set_kwargs: Mapping[str, Any],
) -> None:
    """Refuse what would fail before VASP has computed anything; raises as `relax_with_vasp`."""
    command, _ = _commands(run_vasp_kwargs)
    writing = {"potcar_spec": is_stand_in(command), **write_input_set_kwargs}
    check_inputs(sorted_for(generator, structure), generator, writing)


def _commands(run_vasp_kwargs: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The words that start VASP, and the arguments of atomate2 with them under a guard."""
    running = deepcopy(dict(run_vasp_kwargs))
    said, gamma = running.get("vasp_cmd"), running.get("vasp_gamma_cmd")
    command = vasp_command() if said is None else shlex.split(expandvars(said))
    of_gamma = command if gamma is None else shlex.split(expandvars(gamma))
    running["vasp_cmd"] = shlex.join(guarded(command))
    running["vasp_gamma_cmd"] = shlex.join(guarded(of_gamma))
    return command, running


def _finished(
    directory: Path, inputs: Mapping[str, str], fmax: float, like: Atoms
) -> Relaxation | None:
    """What a finished run of just these inputs gave; None if there is none."""
    there = inputs_of(directory)
    if there != inputs:
        return None
    try:
        relaxation = read_vasp_relaxation(directory, fmax=fmax, like=like)
    except (ParentError, ValueError) as exc:
        logger.info("%s is run anew: %s", directory, exc)
        return None
    return relaxation if relaxation.stop_reason in FINISHED else None


def _begin_with(previous: Path, directory: Path) -> None:
    for name in CARRIED:
        for file in (previous / name, previous / f"{name}.gz"):
            if file.exists():
                with (
                    open_with_compression(str(file), "rb") as source,
                    (directory / name).open("wb") as target,
                ):
                    shutil.copyfileobj(source, target)
                break


def _run(directory: Path, arguments: Mapping[str, Any]) -> None:
    try:
        run_vasp(**arguments)
    except (CustodianError, OSError) as exc:
        ends = [line for name in WORDS for line in _last_lines(directory / name)]
        said = "; VASP's last words: " + " | ".join(ends) if ends else ""
        raise ParentError(
            f"VASP's relaxation in {directory} failed: {exc}{said}",
            retryable=isinstance(exc, ReturnCodeError | ValidationError),  # it died
        ) from exc


def _last_lines(file: Path) -> list[str]:
    if not file.exists():
        return []
    lines = file.read_text(errors="replace").splitlines()
    return [line.strip() for line in lines[-TAIL:] if line.strip()]
