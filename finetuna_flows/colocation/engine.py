"""An engine that speaks i-PI itself: started with input files that ASE writes."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Any

from ase import Atoms

from finetuna_flows.colocation.companion import Companion
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.placement import Seat
from finetuna_flows.errors import ParentError, PeerError
from finetuna_flows.processes.ending import ending

FOLDER = "engine"
"""Holds a folder for each process of the engine, in the order of their starts."""
LOG = "engine.log"
FIRST_FOLDER = "/tmp"  # noqa: S108 - what is made there is private
"""Where engines look for UNIX sockets."""
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
    """

    name = "engine"
    restarts = 1

    def __init__(self, command: str, writer: Any, directory: Path, pause: str) -> None:
        self._command = command
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
            If the calculator cannot write them.
        """
        folder = self._new_folder()
        _write_inputs(self._writer, atoms, folder)
        self._engine = Companion(
            shlex.split(self._command.replace("{name}", listener.name)),
            folder,
            log=LOG,
            environment=Seat().variables_of_program(),
            pause=self._pause,
            name=self.name,
        )

    def admit(self, newcomer: Connection, _: str) -> Driver:
        """Take whoever speaks i-PI; nobody else may enter the folder of the socket."""
        return Driver.admit_foreign(newcomer)

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
            f"`{self._command}` {ending(engine.exit_code)}; its last words: {engine.last_words()}"
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
                engine.wait(END_PATIENCE)
            engine.stop()
            self._paused += engine.paused_time

    def _new_folder(self) -> Path:
        home = self._directory / FOLDER
        taken = [int(each.name) for each in home.glob("*") if each.name.isdecimal()]
        folder = home / f"{1 + max(taken, default=-1):04d}"
        folder.mkdir(parents=True)
        return folder


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
