"""From the files in the current directory to the end of the run."""

from __future__ import annotations

from pathlib import Path

from .engine import Engine, load_calculator
from .faults import Faults
from .fortran import InputError
from .incar import Incar, Job
from .interactive import converse
from .kpoints import read_kpoints
from .relax import relax
from .run import Run
from .saved import read_wavecar
from .scene import Scene
from .species import read_species
from .structure import Structure, read_poscar
from .switches import Switches


def run_here(switches: Switches, cores: int) -> None:
    """Do what INCAR says.

    Raises
    ------
    InputError
        If it cannot be done.
    """
    here = Path()
    incar = Incar.read(here / "INCAR")
    job = Job.from_incar(incar)
    structure = _read_structure(here / "POSCAR")
    known = read_wavecar(here / "WAVECAR", structure) if job.restarts else None
    scene = Scene(
        incar=incar,
        job=job,
        structure=structure,
        kpoints=read_kpoints(here, incar, structure),
        species=read_species(here, structure),
        switches=switches,
        cores=cores,
        warm=known is not None,
    )
    engine = Engine(load_calculator(switches.calculator), stress=job.isif > 0)
    run = Run(scene, engine, Faults(switches), known)
    if job.interactive:
        converse(run, structure)
    elif job.ibrion == -1:
        run.evaluate(structure)
    else:
        relax(run, structure)
    run.finish()


def _read_structure(path: Path) -> Structure:
    if not path.is_file():
        raise InputError("No POSCAR found, STOPPING")
    lines = iter(path.read_text().splitlines())
    try:
        return read_poscar(lambda: next(lines))
    except StopIteration as exc:
        raise InputError("POSCAR ends too early") from exc
