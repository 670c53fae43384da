"""Try a VASP installation out: two labels of H2 in one interactive process, paused in between."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ase import Atoms

from finetuna_flows.parents.specs import Continuation
from finetuna_flows.parents.vasp.command import is_stand_in, vasp_command
from finetuna_flows.parents.vasp.files import OUTCAR, Outcar
from finetuna_flows.parents.vasp.inputs import make_inputs
from finetuna_flows.parents.vasp.run import VaspRun
from finetuna_flows.parents.vasp.session import VaspSession
from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.processes.ranks import RanksError
from finetuna_flows.processes.tree import ProcessState

LAUNCHERS = {
    "srun": "SLURM's srun",
    "prterun": "Open MPI 5 (PRRTE)",
    "prted": "Open MPI 5 (PRRTE)",
    "orted": "Open MPI",
    "orterun": "Open MPI",
    "mpiexec.hydra": "Intel MPI or MPICH (Hydra)",
    "hydra_pmi_proxy": "Intel MPI or MPICH (Hydra)",
    "mpirun": "Open MPI",
    "mpiexec": "an MPI with mpiexec",
}
"""Names of processes between the command and the ranks; the first that is there counts."""
SILENCE = 60.0
"""Seconds that H2 may take."""
WATCHED = 0.5
"""Seconds over which stopped ranks must use no processor time."""
BOX, BOND, STEP = 6.0, 0.80, 0.02
"""Å: edge of the cell, first distance, change of it."""


@dataclass(frozen=True)
class Examination:
    """What two labels of H2 have shown."""

    command: str
    version: str
    dialect: str
    """How the interactive VASP answers to positions, and up to or from which version."""
    flushes_files: bool
    """Whether OUTCAR is complete at each prompt, so that answers can be checked at once."""
    launcher: str
    """Of the ranks; ``none`` for a bare process."""
    ranks: int
    """On this node."""
    pause: str
    """What stopping and resuming took, or why it does not work."""
    pauses: bool
    cycles: tuple[int, int]
    """Electronic iterations of the two labels."""
    seconds: float
    """For all of it."""


def examine() -> Examination:
    """Run the test in a folder that goes away afterwards.

    Raises
    ------
    ParentError
        If there is no command or no POTCAR of H, or a label fails; the message has VASP's words.
    """
    started = time.perf_counter()
    command = vasp_command()
    atoms = Atoms("H2", [(0, 0, 0), (BOND, 0, 0)], cell=[BOX] * 3, pbc=True)
    generator = OC20SetGenerator(
        user_incar_settings={"NCORE": None, "LREAL": False},
        user_kpoints_settings={"reciprocal_density": 1},
    )
    inputs = make_inputs(generator, atoms, Continuation.KEPT, stand_in=is_stand_in(command))
    with TemporaryDirectory(prefix="vasp-check-") as name, chdir(name):
        folder = Path(name)
        inputs.write(folder, atoms)
        run = VaspRun(command, folder, len(atoms), dict(inputs.incar), SILENCE)
        session = VaspSession(run, inputs, "no")
        with run.alive():
            first = session.first(atoms)
            flushed = bool(Outcar(folder / OUTCAR).new_steps())
            processes = run.program.processes()
            ranks = run.ranks.find()
            pauses, pause = _try_pause(run)
            atoms.positions[1, 0] += STEP
            second = session.next(atoms)
            session.close()
        dialect = run.stream.dialect
    return Examination(
        command=" ".join(command),
        version=run.stream.version or "unknown",
        dialect=str(dialect) if dialect else "silent after positions",
        flushes_files=flushed,
        launcher=_launcher(processes),
        ranks=len(ranks),
        pause=pause,
        pauses=pauses,
        cycles=(first.cycles, second.cycles),
        seconds=time.perf_counter() - started,
    )


def _try_pause(run: VaspRun) -> tuple[bool, str]:
    try:
        stopping = run.ranks.stop()
        before = _cpu(run.ranks.find())
        time.sleep(WATCHED)
        used = _cpu(run.ranks.find()) - before
        resuming = run.ranks.resume()
    except RanksError as exc:
        run.ranks.resume_all()
        return False, str(exc)
    if used > 0:
        return False, f"stopped ranks used {used:.2f} s of processor time in {WATCHED} s"
    return True, f"stopped in {1e3 * stopping:.0f} ms, resumed in {1e3 * resuming:.0f} ms"


def _cpu(ranks: Iterable[ProcessState]) -> float:
    return sum(each.cpu for each in ranks)


def _launcher(processes: Iterable[ProcessState]) -> str:
    names = {each.name for each in processes}
    return next((words for name, words in LAUNCHERS.items() if name in names), "none")
