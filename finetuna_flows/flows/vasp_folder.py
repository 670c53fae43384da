"""Input files of VASP's own relaxation: what they must be, what lies in a folder already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import chdir
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ase.io.formats import open_with_compression
from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.sets.base import VaspInputGenerator
from custodian.utils import backup
from custodian.vasp.handlers import VASP_BACKUP_FILES
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Poscar
from pymatgen.io.vasp.inputs import PmgVaspPspDirError

from finetuna_flows.errors import CheckpointError, ParentError
from finetuna_flows.parents.specs import InputSetGenerator
from finetuna_flows.vasp.motion import RELAXATIONS, motion_of, moves_nothing
from finetuna_flows.vasp.tags import FIXED_CELL

INPUTS = ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec", "POTCAR")
STARTED_FROM = "POSCAR.start"
"""The first geometry of a relaxation that was interrupted and goes on from CONTCAR."""
TITLE = re.compile(r"TITEL\s*=\s*(.*\S)")


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
        write_vasp_input_set(structure, as_atomates(generator), **writing)
        return {name: _said(name, Path(name).read_text()) for name in INPUTS if Path(name).exists()}


def _said(name: str, text: str) -> str:
    """Of a POTCAR its titles; it is large, and may not lie about."""
    return "\n".join(TITLE.findall(text)) if name == "POTCAR" else text


def as_atomates(generator: InputSetGenerator) -> VaspInputGenerator:
    """A copy, since making a set changes it; all that is asked of it is `get_input_set`."""
    return cast("VaspInputGenerator", deepcopy(generator))


def _check_is_relaxation(incar: Incar) -> None:
    ibrion, isif, nsw = (int(incar.get(tag, 0)) for tag in ("IBRION", "ISIF", "NSW"))
    if ibrion not in RELAXATIONS or nsw < 1:
        raise ValueError(
            f"IBRION is {ibrion} and NSW {nsw} but a relaxation has IBRION 1, 2 or 3 and NSW above "
            "0; mend them, or take another input set"
        )
    if moves_nothing(incar):
        raise ValueError(
            f"POTIM is {incar['POTIM']} under IBRION 3, so VASP would move nothing; make it "
            "larger, or name an optimizer of VTST's by IOPT"
        )
    motion = motion_of({**incar, "IBRION": ibrion, "NSW": nsw})
    if motion.obstacles:
        raise ValueError(f"the INCAR of the input set {motion.refusal}")
    if isif > FIXED_CELL:
        raise ValueError(
            f"ISIF is {isif} but must be at most {FIXED_CELL}, since the cell stays as it is; set "
            "it to 2"
        )


def inputs_of(directory: Path) -> dict[str, str]:
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


def set_try_aside(directory: Path, inputs: Mapping[str, str]) -> Structure | None:
    """Put what an unfinished try of the same left into an archive, where its ionic steps count.

    Returns the last geometry that it wrote, to go on from; None if there is none.
    """
    there = inputs_of(directory)
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
