"""A parent that is somewhere else: to the learner it is a parent like any other."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from ase import Atoms

from finetuna_flows.colocation.driver import Driver, Introduced
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.partner import Partner
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.proof import new_token
from finetuna_flows.errors import ParentError, PeerError, ProtocolError
from finetuna_flows.records import Label

logger = logging.getLogger(__name__)

CAUSE_PATIENCE = 2.0
"""Seconds in which a program that closed its connection also ends, and says why."""


class RemoteParent:
    """A parent behind a socket.

    Parameters
    ----------
    partner
        Brings it.
    patience
        How long it may take for what.
    interface
        On which TCP is listened to as well; None: on none.
    said
        Of its level of theory, before it has come.
    """

    def __init__(
        self,
        partner: Partner,
        patience: Patience,
        interface: str | None,
        said: str,
    ) -> None:
        self._partner = partner
        self._patience = patience
        self._interface = interface
        self._introduced = Introduced(level=said)
        self._driver: Driver | None = None
        self._paused_there = 0.0
        self._entered = False

    @property
    def level(self) -> str:
        """Level of theory, as the parent says it."""
        return self._introduced.level

    @property
    def settings(self) -> str:
        """What it worked out for the structure; empty where its level does not depend on that."""
        return self._introduced.settings

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that it knows; None before it has come, or where it cannot tell."""
        return self._introduced.elements

    @property
    def paused_time(self) -> float:
        """Seconds that its processors were left to others, known when it has ended."""
        return self._paused_there + self._partner.paused_time

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the parent end by itself; leave it where something went wrong.

        Raises
        ------
        ParentError
            If it finds in the end that it answered wrongly, or does not end.
        """
        self._entered = False
        driver, ended = self._driver, False
        try:
            if driver is not None and kind is None:
                self._partner.resume()
                self._end(driver)
                ended = True
        except PeerError as exc:
            raise ParentError(f"{self.level} did not end well: {exc}") from exc
        finally:
            self._forget(ended=ended)

    def prepare(self, atoms: Atoms) -> None:
        """Meet the parent and tell it which structure is labelled; nothing before it is entered.

        Raises
        ------
        ParentError, StructureError, ValueError, TypeError
            If it does not come, or cannot label this structure.
        """
        if not self._entered:
            return
        try:
            self._ready(atoms)
        except PeerError as exc:
            cause = self._cause(exc)
            self._forget()
            if not isinstance(cause, PeerError):
                raise cause from exc
            raise ParentError(str(cause), retryable=exc.retryable) from cause
        except BaseException:
            self._forget()
            raise

    def label(self, atoms: Atoms) -> Label:
        """What the parent says of a geometry; wall time is what was waited here.

        Raises
        ------
        ParentError
            If it has no usable label, is lost, silent, or off the protocol.
        """
        lost = 0
        while True:
            try:
                label = self._ready(atoms).ask(atoms, self._patience.label, self._partner.watch)
            except PeerError as exc:
                cause = self._cause(exc)
                self._forget()
                if not isinstance(cause, PeerError):
                    raise cause from exc
                if lost >= self._partner.restarts or not exc.retryable:
                    raise ParentError(str(cause), retryable=exc.retryable) from cause
                logger.warning("%s; it is started again", cause)
                lost += 1
            except BaseException:  # after the parent's own words it can be asked again
                if self._driver is not None and not self._driver.is_in_step:
                    self._forget()
                raise
            else:
                return replace(label, restarts=label.restarts + lost)

    def rest(self) -> None:
        """Leave processors to the learner until the next label.

        Raises
        ------
        ParentError
            If the parent cannot, and must.
        """
        if self._driver is None:
            return
        try:
            if self._introduced.rests:
                self._driver.let_rest(self._patience.close, self._partner.watch)
        except PeerError as exc:
            self._forget()
            raise ParentError(str(exc), retryable=exc.retryable) from exc
        self._partner.rest()

    def _ready(self, atoms: Atoms) -> Driver:
        """The driver of a parent that knows the structure."""
        if not self._entered:
            raise ParentError(f"{self.level} is not entered; use it as a context manager")
        if self._driver is not None and not self._driver.can_learn(atoms):
            self._end(self._driver)
            self._forget(ended=True)
        driver = self._driver or self._meet(atoms)
        self._driver = driver
        self._partner.resume()
        if not driver.knows(atoms):
            introduced = driver.introduce(atoms, self._patience.meet, self._partner.watch)
            self._introduced = introduced or self._introduced
        return driver

    def _end(self, driver: Driver) -> None:
        report = driver.end(self._patience.close, self._partner.watch)
        self._paused_there += float(report.get("paused_time", 0.0))

    def _meet(self, atoms: Atoms) -> Driver:
        token, partner = new_token(), self._partner
        with Listener(partner.folder, self._interface) as listener:
            partner.come(listener, token, atoms)
            driver = listener.meet(
                lambda newcomer: partner.admit(newcomer, token),
                self._patience.meet,
                partner.watch,
                partner.name,
            )
        driver.connection.peer = f"the {partner.name}"  # no newcomer any more
        return driver

    def _cause(self, error: PeerError) -> Exception:
        """Why the parent is lost: what its end tells, where that comes within a moment."""
        if self._driver is None or isinstance(error, ProtocolError):
            return error  # it was not there, or lives and talks nonsense
        deadline = time.monotonic() + CAUSE_PATIENCE
        while time.monotonic() < deadline:
            try:
                self._partner.watch()
            except Exception as cause:  # noqa: BLE001 - whatever ended it
                return cause
            time.sleep(0.05)
        return error

    def _forget(self, *, ended: bool = False) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.connection.close()
        self._partner.leave(ended=ended)
