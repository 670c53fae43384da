"""Run VASP's own relaxation with atomate2 and custodian, unless it is there already."""

from __future__ import annotations

import logging
import re
import shlex
import shutil
from collections.abc import Mapping
from contextlib import chdir
from copy import deepcopy
from os.path import expandvars
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ase import Atoms
from ase.io.formats import open_with_compression
from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.run import run_vasp
from atomate2.vasp.sets.base import VaspInputGenerator
from custodian.custodian import CustodianError, ReturnCodeError, ValidationError
from custodian.utils import backup
from custodian.vasp.handlers import VASP_BACKUP_FILES
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Poscar
from pymatgen.io.vasp.inputs import PmgVaspPspDirError

from finetuna_flows.errors import CheckpointError, ParentError
from finetuna_flows.parents.specs import InputSetGenerator
from finetuna_flows.parents.vasp.command import is_stand_in, vasp_command
from finetuna_flows.parents.vasp.fresh import CARRIED
from finetuna_flows.parents.vasp.inputs import sorted_for
from finetuna_flows.processes.program import guarded
from finetuna_flows.reasons import StopReason
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from finetuna_flows.vasp.tags import FIXED_CELL, RELAXATIONS

logger = logging.getLogger(__name__)

INPUTS = ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "POTCAR")
STARTED_FROM = "POSCAR.start"
"""The first geometry of a relaxation that was interrupted and goes on from CONTCAR."""
TITLE = re.compile(r"TITEL\s*=\s*(.*\S)")
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
    reached = _set_aside(directory, inputs)
    if previous is not None:
        _begin_with(previous, directory)
    write_vasp_input_set(structure, _atomate(generator), directory, **writing)
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


def check_inputs(
    structure: Structure, generator: InputSetGenerator, writing: Mapping[str, Any]
) -> dict[str, str]:
    """The text of each input file, which must be those of a relaxation in a fixed cell.

    Raises
    ------
    ValueError
        If they are not, or the set cannot be made.
    ParentError
        If a POTCAR is missing.
    """
    try:
        inputs = _inputs(structure, generator, writing)
    except (OSError, PmgVaspPspDirError) as exc:
        raise ParentError(
            f"no input files for {structure.formula}: {exc}; POTCARs come from PMG_VASP_PSP_DIR"
        ) from exc
    _check_is_relaxation(Incar.from_str(inputs["INCAR"]))
    return inputs


def _inputs(
    structure: Structure, generator: InputSetGenerator, writing: Mapping[str, Any]
) -> dict[str, str]:
    """The text of each input file that would be written."""
    with TemporaryDirectory() as folder, chdir(folder):
        write_vasp_input_set(structure, _atomate(generator), **writing)
        return {name: _said(name, Path(name).read_text()) for name in INPUTS if Path(name).exists()}


def _said(name: str, text: str) -> str:
    """Of a POTCAR its titles; it is large, and may not lie about."""
    return "\n".join(TITLE.findall(text)) if name == "POTCAR" else text


def _atomate(generator: InputSetGenerator) -> VaspInputGenerator:
    """A copy, since making a set changes it; all that is asked of it is `get_input_set`."""
    return cast("VaspInputGenerator", deepcopy(generator))


def _check_is_relaxation(incar: Incar) -> None:
    ibrion, isif, nsw = (int(incar.get(tag, 0)) for tag in ("IBRION", "ISIF", "NSW"))
    if ibrion not in RELAXATIONS or nsw < 1:
        raise ValueError(
            f"IBRION is {ibrion} and NSW {nsw} but a relaxation has IBRION 1, 2 or 3 and NSW above "
            "0; mend them, or take another input set"
        )
    if isif > FIXED_CELL:
        raise ValueError(
            f"ISIF is {isif} but must be at most {FIXED_CELL}, since the cell stays as it is; set "
            "it to 2"
        )


def _finished(
    directory: Path, inputs: Mapping[str, str], fmax: float, like: Atoms
) -> Relaxation | None:
    """What a finished run of just these inputs gave; None if there is none."""
    there = _inputs_of(directory)
    if there != inputs:
        return None
    try:
        relaxation = read_vasp_relaxation(directory, fmax=fmax, like=like)
    except (ParentError, ValueError) as exc:
        logger.info("%s is run anew: %s", directory, exc)
        return None
    return relaxation if relaxation.stop_reason in FINISHED else None


def _inputs_of(directory: Path) -> dict[str, str]:
    """The text of each input file as it was before custodian corrected it."""
    found = {}
    for name in INPUTS:
        first = (STARTED_FROM,) if name == "POSCAR" else ()
        for file in (*first, f"{name}.orig", f"{name}.orig.gz", name, f"{name}.gz"):
            if (directory / file).exists():
                with open_with_compression(str(directory / file)) as stream:
                    found[name] = _said(name, str(stream.read()))
                break
    return found


def _set_aside(directory: Path, inputs: Mapping[str, str]) -> Structure | None:
    """Put what an unfinished try of the same left into an archive, where its ionic steps count.

    Returns the last geometry that it wrote, to go on from; None if there is none.
    """
    there = _inputs_of(directory)
    if not there:
        return None
    differing = [name for name in INPUTS if there.get(name) != inputs.get(name)]
    if differing:
        raise CheckpointError(
            f"{directory} holds a VASP run with another {' and '.join(differing)}; run in another "
            "directory, or set that one aside"
        )
    reached = _last_geometry(directory)
    backup(sorted(VASP_BACKUP_FILES), directory=str(directory))
    for file in ("OUTCAR", "vasprun.xml", "CONTCAR"):
        (directory / file).unlink(missing_ok=True)
    return reached


def _last_geometry(directory: Path) -> Structure | None:
    """CONTCAR with the selective dynamics of POSCAR."""
    try:
        reached = Poscar.from_file(directory / "CONTCAR", check_for_potcar=False).structure
        begun = Poscar.from_file(directory / "POSCAR", check_for_potcar=False).structure
    except (OSError, ValueError, IndexError):
        return None  # VASP was not that far, or was writing it
    if reached.atomic_numbers != begun.atomic_numbers:
        return None
    if flags := begun.site_properties.get("selective_dynamics"):
        reached.add_site_property("selective_dynamics", list(flags))
    return reached


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
