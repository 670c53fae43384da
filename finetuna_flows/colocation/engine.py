"""An engine that speaks i-PI itself: started with input files that ASE writes."""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
from pathlib import Path
from typing import Any

from ase import Atoms

from finetuna_flows.colocation.companion import Companion
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.placement import Seat
from finetuna_flows.colocation.standard_cell import Turn
from finetuna_flows.errors import ParentError, PeerError
from finetuna_flows.processes.ending import ending

logger = logging.getLogger(__name__)

FOLDER = "engine"
"""Holds a folder for each process of the engine, in the order of their starts."""
LOG = "engine.log"
FIRST_FOLDER = "/tmp"  # noqa: S108 - what is made there is private
"""Where engines look for UNIX sockets."""
PLACE = "{name}"
"""Becomes the name of the socket, in the command and in input files."""
PLACES = re.compile(rf"(?<!\$){re.escape(PLACE)}")
"""With a dollar before it, it is a variable of a shell, of LAMMPS or of CP2K."""
END_PATIENCE = 30.0
"""Seconds for the engine to end after it was told to."""


class EngineProcess:
    """The partner of a learner whose parent is a program that speaks i-PI.

    Parameters
    ----------
    command
        With ``{name}`` where the engine wants the name of the socket.
    writer
        An ASE calculator that writes input files; the order of the atoms must be theirs.
    directory
        Of the job.
    pause
        See `processes.pause.Pause`.
    standard_cell
        Whether the engine gets a cell that is lower triangular, and the atoms in its frame.
    """

    name = "engine"
    restarts = 1

    def __init__(
        self, command: str, writer: Any, directory: Path, pause: str, *, standard_cell: bool
    ) -> None:
        self._command = command
        self._standard_cell = standard_cell
        self._writer = writer
        self._directory = directory
        self._pause = pause
        self._engine: Companion | None = None
        self._paused = 0.0

    @property
    def paused_time(self) -> float:
        """Seconds that its ranks were stopped."""
        return self._paused + (self._engine.paused_time if self._engine else 0.0)

    @property
    def folder(self) -> Path:
        """Where engines look, whatever the settings say."""
        return Path(FIRST_FOLDER)

    def come(self, listener: Listener, _: str, atoms: Atoms) -> None:
        """Write its input files in a new folder and start it there.

        Raises
        ------
        ParentError
            If the calculator cannot write them, or nothing tells the engine where to connect.
        """
        turn = Turn.standard(atoms.cell.array) if self._standard_cell else Turn()
        turned = turn.turned(atoms)
        folder = self._new_folder()
        _write_inputs(self._writer, turned, folder)
        _tell_inputs(folder, listener.name)
        self._engine = Companion(
            shlex.split(PLACES.sub(listener.name, self._command)),
            folder,
            log=LOG,
            environment=Seat().variables_of_program(),
            pause=self._pause,
            name=self.name,
        )

    def admit(self, newcomer: Connection, _: str) -> Driver:
        """Take whoever speaks i-PI; nobody else may enter the folder of the socket."""
        return Driver.admit_foreign(newcomer, standard_cell=self._standard_cell)

    def watch(self) -> None:
        """Find out whether it lives.

        Raises
        ------
        PeerError
            With its last words, if it has ended.
        """
        engine = self._engine
        if engine is None or engine.exit_code is None:
            return
        words = (
            f"`{self._command}` {ending(engine.exit_code)}; its last words: "
            f"{engine.last_words()} (all of them are in {engine.log})"
        )
        raise PeerError(words)

    def rest(self) -> None:
        """Stop its ranks, which may poll."""
        if self._engine is not None:
            self._engine.rest()

    def resume(self) -> None:
        """Let them go on."""
        if self._engine is not None:
            self._engine.resume()

    def leave(self, *, ended: bool) -> None:
        """See that it is gone."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            engine.resume()
        finally:
            if ended:
                _tell_end(engine.wait(END_PATIENCE))
            engine.stop()
            self._paused += engine.paused_time

    def _new_folder(self) -> Path:
        home = self._directory / FOLDER
        taken = [int(each.name) for each in home.glob("*") if each.name.isdecimal()]
        folder = home / f"{1 + max(taken, default=-1):04d}"
        folder.mkdir(parents=True)
        return folder


def _tell_end(code: int | None) -> None:
    """Log how an engine ended that was told to; what it answered before is good whatever it says.

    Some end with a code other than 0 after success: ABINIT 9.6 with 14, LAMMPS (2025) with 1.
    """
    if code is None:
        logger.warning("the engine did not end within %g s and is killed", END_PATIENCE)
    else:
        logger.debug("the engine was told to end, and did with exit code %d", code)


def _write_inputs(writer: Any, atoms: Atoms, folder: Path) -> None:
    """Have an ASE calculator write its input files; constraints would zero forces."""
    bare: Atoms = atoms.copy()
    bare.set_constraint()
    writer.directory = folder
    try:
        with contextlib.chdir(folder):
            if hasattr(writer, "write_inputfiles"):
                writer.write_inputfiles(bare, ["energy", "forces"])
            else:
                writer.write_input(bare, properties=["energy", "forces"], system_changes=None)
    except Exception as exc:  # the writers of ASE's calculators share no class
        raise ParentError(f"{type(writer).__name__} cannot write its input files: {exc}") from exc


def _tell_inputs(folder: Path, name: str) -> None:
    """Write the name of the socket where input files have a place for it."""
    for file in folder.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue  # what writers link to, or have copied, is no input file of this run
        with contextlib.suppress(UnicodeDecodeError):
            written = file.read_text()
            if PLACES.search(written):
                file.write_text(PLACES.sub(name, written))
