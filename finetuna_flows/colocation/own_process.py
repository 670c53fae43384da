"""The parent in a process of its own, started by the learner's job and ended with it."""

from __future__ import annotations

import logging
from pathlib import Path

from ase import Atoms

from finetuna_flows.colocation.companion import Companion, module
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.failure import check_failure
from finetuna_flows.colocation.invitation import Invitation
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.report import NAME as REPORT
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.colocation.service import INVITATION, Order, locked
from finetuna_flows.errors import PeerError
from finetuna_flows.processes.ending import ending
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)

FOLDER = "parent"
"""Of the parent's process, in the folder of the job."""
LOG = "parent.log"
SERVICE = "finetuna_flows.colocation.service"
END_PATIENCE = 10.0
"""Seconds for the process to end after its last word."""


class ServiceProcess:
    """A process that serves one parent, in a folder of its own.

    Parameters
    ----------
    order
        What it is to do.
    directory
        Its folder; made where it is missing. VASP's folders and the labels are there.
    placement
        How it is started.

    Raises
    ------
    CheckpointError
        If another parent is using the folder.
    """

    def __init__(self, order: Order, directory: Path, placement: Placement) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory):  # no other parent runs here whose files these would be
            (directory / REPORT).unlink(missing_ok=True)
            (directory / INVITATION).unlink(missing_ok=True)
            order.write(directory)
        self.companion = Companion(
            placement.command(module(SERVICE)),
            directory,
            log=LOG,
            environment=placement.parent.variables_of_program(),
            pause=placement.pause if placement.launcher else "no",
            name="the parent's process",
        )

    def invite(self, invitation: Invitation) -> None:
        """Tell it where the learner listens."""
        invitation.write(self.directory / INVITATION)

    def check(self) -> None:
        """Find out whether it lives.

        Raises
        ------
        ParentError, StructureError, CheckpointError, ValueError, TypeError
            What ended it, if it said so.
        PeerError
            If it has ended without a word.
        """
        code = self.companion.exit_code
        if code is None:
            return
        report = ServiceReport.read(self.directory)
        check_failure((report.failure if report else None) or {})
        raise PeerError(
            f"the parent's process {ending(code)} and left in "
            f"{self.directory / LOG}: {self.companion.last_words()}"
        )

    def end(self, patience: float = 0.0) -> None:
        """Wait for its end so long, then bring it about; the token goes."""
        self.companion.wait(patience)
        self.companion.stop()
        (self.directory / INVITATION).unlink(missing_ok=True)


class OwnProcess:
    """The partner of a learner whose parent is a process of the same job.

    Parameters
    ----------
    order
        What the parent's process is to do.
    placement
        How it is started.
    directory
        Of the job.
    """

    name = "parent's process"
    restarts = 1
    """A process that crashed is started again once for a label."""

    def __init__(self, order: Order, placement: Placement, directory: Path) -> None:
        self._order = order
        self._placement = placement
        self._directory = directory / FOLDER
        self._service: ServiceProcess | None = None
        self._paused = 0.0

    @property
    def paused_time(self) -> float:
        """Seconds that ranks which a launcher started were stopped."""
        now = self._service.companion.paused_time if self._service else 0.0
        return self._paused + now

    @property
    def folder(self) -> Path:
        """As the settings say."""
        return Settings().socket_path

    def come(self, listener: Listener, token: str, _: Atoms) -> None:
        """Start the process and tell it where to come to."""
        self._service = ServiceProcess(self._order, self._directory, self._placement)
        addresses = tuple(map(str, listener.addresses))
        self._service.invite(Invitation(addresses, token, "this machine"))

    def admit(self, newcomer: Connection, token: str) -> Driver:
        """Take the one that knows the token."""
        return Driver.admit_ours(newcomer, token)

    def watch(self) -> None:
        """Raise as `ServiceProcess.check` does."""
        if self._service is not None:
            self._service.check()

    def rest(self) -> None:
        """Stop ranks that would poll."""
        if self._service is not None:
            self._service.companion.rest()

    def resume(self) -> None:
        """Let them go on."""
        if self._service is not None:
            self._service.companion.resume()

    def leave(self, *, ended: bool) -> None:
        """See that the process is gone; where it `ended` by itself, after it has cleaned up."""
        service, self._service = self._service, None
        if service is None:
            return
        try:
            service.companion.resume()
        finally:
            service.end(END_PATIENCE if ended else 0.0)
            self._paused += service.companion.paused_time
        if self._paused:
            logger.info("%s was paused for %.1f s", self.name, self._paused)
