"""A process of VASP for each label: from scratch (M1), or from the last wave functions (M2)."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import numpy as np
from ase import Atoms

from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.parents.vasp.agreement import check_filed
from finetuna_flows.parents.vasp.files import OUTCAR, VASPRUN, read_last_step
from finetuna_flows.parents.vasp.inputs import VaspInputs
from finetuna_flows.parents.vasp.parent import VaspParent
from finetuna_flows.parents.vasp.run import (
    END_PATIENCE,
    VaspRun,
    folders,
    next_folder,
)
from finetuna_flows.parents.vasp.stream import IonicStep
from finetuna_flows.processes.ending import ending
from finetuna_flows.records import Label
from finetuna_flows.vasp.calculation import FiledStep

logger = logging.getLogger(__name__)

CARRIED = ("WAVECAR", "CHGCAR")
"""What a label starts from and leaves to the next one."""
FINISHED = b"General timing"
"""OUTCAR says so at its end."""
TAIL = 20_000
"""Bytes of OUTCAR that hold it."""


class FreshVasp(VaspParent):
    """VASP started for each label; energies and forces are those of vasprun.xml.

    M2 copies WAVECAR (and CHGCAR, where one is written) from the last label's folder, and deletes
    it there once the new label is good, so that the disk holds one at a time. A run that goes on
    after an interruption finds it.
    """

    def __init__(self, spec: VaspParentSpec) -> None:
        super().__init__(spec)
        self._source: Path | None = None
        self._looked = spec.continuation is not Continuation.RESTART

    def _label(self, atoms: Atoms) -> Label:
        started = time.perf_counter()
        inputs = self._prepared(atoms)
        source = self._files_to_start_from(inputs)
        folder = next_folder(self._directory)
        try:
            for name in CARRIED:
                if source is not None and (source / name).exists():
                    shutil.copyfile(source / name, folder / name)
            run = self._start(inputs, atoms, folder)
            with run.alive():
                step, filed = self._answer(run, inputs, atoms)
        except BaseException:
            _delete_carried(folder)  # nothing will start from them, and they are large
            raise
        run.program.stop()
        if self._spec.continuation is Continuation.RESTART:
            self._keep(folder, source)
        return Label(
            energy=filed.energy,
            forces=inputs.to_atoms(filed.forces),
            free_energy=filed.free_energy,
            scf_cycles=step.cycles,
            wall_time=time.perf_counter() - started,
        )

    def _answer(
        self, run: VaspRun, inputs: VaspInputs, atoms: Atoms
    ) -> tuple[IonicStep, FiledStep]:
        steps = list(run.steps())
        if len(steps) != 1:
            raise run.ended()
        run.check_converged(steps[0])
        code = run.program.wait(END_PATIENCE)
        filed = read_last_step(run.folder / VASPRUN)
        asked = atoms.positions[inputs.order]
        check_filed(run, asked, np.asarray(atoms.cell), steps[0], filed)
        if code != 0:
            logger.warning(
                "VASP in %s %s, but all its files are complete and agree",
                run.folder,
                "did not end" if code is None else ending(code),
            )
        return steps[0], filed

    def _files_to_start_from(self, inputs: VaspInputs) -> Path | None:
        """The folder of the last label with wave functions of the same atoms, if there is one."""
        if not self._looked:
            self._looked = True
            for folder in reversed(folders(self._directory)):
                if _is_finished(folder) and _has_files(folder):
                    self._source = folder
                    break
        if self._source is None or not inputs.fits_poscar(self._source / "POSCAR"):
            return None
        return self._source

    def _keep(self, folder: Path, source: Path | None) -> None:
        if not _has_files(folder):
            logger.warning("VASP wrote no %s in %s; the next label is cold", CARRIED[0], folder)
            return
        self._source = folder
        if source is not None:
            _delete_carried(source)


def _delete_carried(folder: Path) -> None:
    for name in CARRIED:
        (folder / name).unlink(missing_ok=True)


def _has_files(folder: Path) -> bool:
    wave = folder / CARRIED[0]
    return wave.exists() and wave.stat().st_size > 0


def _is_finished(folder: Path) -> bool:
    outcar = folder / OUTCAR
    if not outcar.exists():
        return False
    with outcar.open("rb") as file:
        file.seek(max(0, outcar.stat().st_size - TAIL))
        return FINISHED in file.read()
