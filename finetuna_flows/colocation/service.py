"""The parent's process: ``python -m finetuna_flows.colocation.service`` in its own folder.

What it is to do lies there in `ORDER`; what it did is left there as `report.NAME`. It ends when
the learner says so, is lost, or stays away.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout
from monty.json import MontyDecoder
from threadpoolctl import threadpool_limits

from finetuna_flows.colocation import ranks
from finetuna_flows.colocation.client import Client
from finetuna_flows.colocation.connection import LOOK, Connection
from finetuna_flows.colocation.failure import encode_failure
from finetuna_flows.colocation.invitation import Invitation, join
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.errors import AbsentError, CheckpointError, FinetunaError, PeerError
from finetuna_flows.processes.termination import terminable
from finetuna_flows.protocols import ParentCalculator, Spec
from finetuna_flows.settings import Settings

logger = logging.getLogger(__name__)

ORDER = "order.json"
INVITATION = "invitation.json"
"""Where the learner listens; written beside the order, at once or later."""
LOCK = ".parent.lock"
LOCK_PATIENCE = 10.0
"""Seconds; longer than a program has between being asked to end and being killed."""
AGAIN = 1.0
"""Seconds between two visits to where this parent was turned away."""
LOST = 4
"""Exit code where the learner was lost and the label under way had to be given up."""
FAILED = 3


@dataclass(frozen=True)
class Order:
    """What a parent's process is to do."""

    spec: dict[str, object]
    """Of the parent, as plain JSON."""
    meet: float
    """Seconds until the learner must be there."""
    idle: float
    """Seconds that the learner may be silent."""
    grace: float
    """Seconds that a label may still take when the learner is lost."""
    launched: bool = False
    """Whether a launcher starts the process, or several of it."""

    def write(self, directory: Path) -> None:
        """Leave it in the parent's folder."""
        (directory / ORDER).write_text(json.dumps(asdict(self)))


def main() -> NoReturn:
    """Serve in the present folder; leave a report there, whatever happens."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    with terminable():
        _run(Path.cwd())


def _run(directory: Path) -> NoReturn:
    order = Order(**json.loads((directory / ORDER).read_text()))
    report = ServiceReport()
    try:
        with threadpool_limits(Settings().threads):
            spec: Spec[ParentCalculator] = MontyDecoder().process_decoded(order.spec)
            parent = spec.build()
            if order.launched and not ranks.is_first():
                ranks.follow(parent)
                sys.exit()
            try:
                with locked(directory):
                    report = _serve(order, parent, directory)
            finally:
                ranks.tell(None)
    except Exception as error:  # the boundary of the process: it is sent on whole
        logger.exception("the parent's process ends")
        report = replace(report, failure=encode_failure(error))
    report.write(directory)
    sys.exit(FAILED if report.failure else 0)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep a folder to one parent; an earlier one that is being ended has a moment.

    Raises
    ------
    CheckpointError
        If another parent holds it.
    """
    try:
        with FileLock(directory / LOCK, timeout=LOCK_PATIENCE):
            yield
    except Timeout as exc:
        raise CheckpointError(
            f"{directory} is in use by another parent; wait for it or choose another directory"
        ) from exc


def _serve(order: Order, parent: ParentCalculator, directory: Path) -> ServiceReport:
    deadline = time.monotonic() + order.meet
    where = directory / INVITATION
    while True:
        patience = max(0.0, deadline - time.monotonic())
        connection, invitation = join(lambda: Invitation.read(where), patience, str(where))
        client = Client(
            connection, parent, directory, invitation.token, order.idle, follow=ranks.tell
        )
        with connection:
            report = _attend(client, order, directory)
        if report is not None:
            return report
        if time.monotonic() > deadline:
            raise AbsentError(
                f"the learner did not come within {order.meet:g} s: whoever listens at "
                f"{' or '.join(invitation.addresses)} turned this parent away"
            )
        time.sleep(AGAIN)  # it may be an earlier try's invitation


def _attend(client: Client, order: Order, directory: Path) -> ServiceReport | None:
    """Serve one learner; None if it turned this parent away before a word was said."""
    failure: Exception | None = None
    try:
        with client.entered, _LossWatch(client, order.grace, directory):
            client.serve()
    except PeerError as error:
        if not client.is_introduced:
            logger.warning("turned away: %s", error)
            return None
        failure = error
    except (FinetunaError, ValueError, TypeError) as error:
        if client.is_with_stranger:
            logger.warning("a stranger was there: %s", error)
            return None
        failure = error
    client.finish()
    with suppress(PeerError):
        client.say_closed(failure)
    failed = None if failure is None else encode_failure(failure)
    return replace(client.report, failure=failed)


class _LossWatch:
    """Ends this process if the learner is lost and the label under way takes too long."""

    def __init__(self, client: Client, grace: float, directory: Path) -> None:
        self._client = client
        self._grace = grace
        self._directory = directory
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        connection: Connection = self._client.connection
        while not connection.is_lost:
            if self._over.wait(LOOK):
                return
        logger.warning(
            "%s is lost; the label under way has %g s to end", connection.peer, self._grace
        )
        if self._over.wait(None if math.isinf(self._grace) else self._grace):
            return
        lost = PeerError(
            f"{connection.peer} was lost, and the label under way took longer than the "
            f"{self._grace:g} s that it was given"
        )
        replace(self._client.report, failure=encode_failure(lost)).write(self._directory)
        os._exit(LOST)


if __name__ == "__main__":
    main()
