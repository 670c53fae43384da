"""The parent's side of the protocol: wait for geometries, answer with forces."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.failure import encode_failure
from finetuna_flows.colocation.kept_labels import KeptLabels
from finetuna_flows.colocation.proof import ParentsProof
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.colocation.structure import decode_structure
from finetuna_flows.errors import FinetunaError, ProtocolError
from finetuna_flows.geometry import moved
from finetuna_flows.protocols import ParentCalculator, PreparingParent, RestingParent
from finetuna_flows.records import Label, total_cycles
from finetuna_flows.structures.validate import check_elements

logger = logging.getLogger(__name__)

WORDS_OF_STRANGERS = (ipi.STATUS, ipi.INIT)
WORDS = (*WORDS_OF_STRANGERS, ipi.POSDATA, ipi.GETFORCE, ipi.REST, ipi.EXIT)
FIRST_WORDS = 30.0
"""Seconds for each word of a learner before it has introduced itself: an address may be an earlier
try's, and somebody else be there by now."""


@dataclass
class Client:
    """Serves one parent over one connection, until the learner says that it has finished.

    Parameters
    ----------
    connection
        To the learner, or to any driver that speaks i-PI.
    parent
        Entered when the structure is known, on `entered`.
    directory
        Where the labels are kept.
    token
        Of the run; empty where the other side asks for none.
    idle
        Seconds that the learner may be silent.
    atoms
        The structure, where the other side does not tell it; None: it must.
    follow
        Called with every geometry that is computed, before it is.
    """

    connection: Connection
    parent: ParentCalculator
    directory: Path
    token: str
    idle: float
    atoms: Atoms | None = None
    follow: Callable[[Atoms], None] = lambda _: None
    entered: ExitStack = field(default_factory=ExitStack)
    """Leaves the parent; to be entered before `serve`."""
    report: ServiceReport = field(default_factory=ServiceReport)
    """So far."""
    _kept: KeptLabels | None = None
    _label: Label | None = None
    _failed: ipi.Json | None = None
    _ours: bool = False
    _cycles: list[int | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._proof = ParentsProof(self.token)

    def serve(self) -> None:
        """Answer until ``EXIT``.

        Raises
        ------
        PeerError, ProtocolError
            If the learner is gone, silent for too long, or off the protocol. Labels so far are on
            disk.
        """
        while self._answer_next():
            pass

    @property
    def is_introduced(self) -> bool:
        """Whether the parent has got ready for the learner's structure."""
        return self._kept is not None

    @property
    def is_with_stranger(self) -> bool:
        """Whether the other side has to prove still that it is the run's learner."""
        return self._proof.is_due

    def finish(self) -> None:
        """Close the books, when the parent has ended."""
        if self._kept is not None:
            self._kept.close()
        self.report = replace(
            self.report,
            level=self.parent.level if self._kept is not None else "",
            scf_cycles=total_cycles(self._cycles),
            paused_time=getattr(self.parent, "paused_time", 0.0),
        )

    def say_closed(self, failure: BaseException | None) -> None:
        """Report to a learner of ours how the parent has ended."""
        if self._ours:
            said = asdict(self.report) | (encode_failure(failure) if failure else {})
            self._send_ours(ipi.CLOSED, said)

    def _answer_next(self) -> bool:
        started = time.perf_counter()
        begins = bool(self.token) and not self.is_introduced
        word = self.connection.receive_word(
            *(WORDS_OF_STRANGERS if self.is_with_stranger else WORDS),
            patience=min(self.idle, FIRST_WORDS) if begins else self.idle,
        )
        waited = time.perf_counter() - started
        self.report = replace(self.report, waiting_time=self.report.waiting_time + waited)
        match word:
            case ipi.STATUS:
                self.connection.send(ipi.word(self._state))
            case ipi.INIT:
                self.connection.receive(ipi.INTEGER.itemsize)
                self._begin(self.connection.receive_text())
            case ipi.POSDATA:
                self._compute()
            case ipi.GETFORCE:
                self._send_forces()
            case ipi.REST:
                self._rest()
        return word != ipi.EXIT

    @property
    def _state(self) -> str:
        if self._label is not None or self._failed is not None:
            return ipi.HAVEDATA
        return ipi.NEEDINIT if self._kept is None else ipi.READY

    def _begin(self, content: bytes) -> None:
        said = ipi.read_ours(content)
        if said is not None and "challenge" in said:
            challenge, peer = str(said["challenge"]), self.connection.peer
            self._send_ours(ipi.PROOF, self._proof.answer(challenge, peer))
            return
        self._ours = said is not None
        if self._proof.is_due:
            self._proof.check((said or {}).get("proof"), self.connection.peer)
        atoms = self.atoms
        if said is not None:
            atoms = decode_structure(said["structure"])
            atoms.set_cell(said["cell"])
        try:
            answer = self._prepare(atoms)
        except (FinetunaError, ValueError, TypeError) as exc:
            if not self._ours:
                raise
            answer = encode_failure(exc)
        if self._ours:
            self._send_ours(ipi.PARENT, answer)

    def _prepare(self, atoms: Atoms | None) -> ipi.Json:
        """Get ready for a structure; what the parent says of itself."""
        if atoms is None:
            raise ValueError(
                f"{self.connection.peer} does not say which structure it is about; name it"
            )
        parent = self.parent
        check_elements(atoms, None, parent.elements, surrogate_name="", parent_name=parent.level)
        if isinstance(parent, PreparingParent):
            parent.prepare(atoms)
        if self._kept is None:
            self.entered.enter_context(parent)
        else:
            self._kept.close()
        self.atoms = atoms
        self._kept = KeptLabels(self.directory, parent.level, atoms)
        return {
            "level": parent.level,
            "settings": parent.settings if isinstance(parent, PreparingParent) else "",
            "elements": None if parent.elements is None else sorted(parent.elements),
            "rests": isinstance(parent, RestingParent),
            "where": f"{socket.gethostname()}, process {os.getpid()}",
        }

    def _compute(self) -> None:
        cell = ipi.read_cell(self.connection.receive(9 * ipi.FLOAT.itemsize))
        self.connection.receive(9 * ipi.FLOAT.itemsize)
        if self._kept is None:
            self._prepare(self.atoms)  # a driver that sends no INIT
        known = None if self.atoms is None else len(self.atoms)
        count = self.connection.receive_count("atoms", ipi.ATOMS_LIMIT, exactly=known)
        positions = ipi.read_positions(self.connection.receive(3 * count * ipi.FLOAT.itemsize))
        if self.atoms is None or self._kept is None:
            raise AssertionError("_prepare() refuses to be without a structure")
        if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
            self._failed = encode_failure(
                ValueError("the geometry that came holds numbers that are not finite")
            )
            return
        atoms = moved(self.atoms, positions)
        atoms.set_cell(cell)
        try:
            self._label = self._find_or_compute(atoms, self._kept)
        except (FinetunaError, ValueError, TypeError) as exc:
            logger.exception("no label")
            self._failed = encode_failure(exc)

    def _find_or_compute(self, atoms: Atoms, kept: KeptLabels) -> Label:
        label = kept.find(atoms)
        if label is not None:
            self.report = replace(self.report, recalled=self.report.recalled + 1)
            return label
        self.follow(atoms)
        started = time.perf_counter()
        label = self.parent.label(atoms)
        spent = time.perf_counter() - started
        kept.keep(atoms, label)
        self.report = replace(self.report, label_time=self.report.label_time + spent)
        return label

    def _send_forces(self) -> None:
        label, failed = self._label, self._failed
        self._label = self._failed = None
        if failed is not None:
            if not self._ours:
                raise ProtocolError(f"no label, which i-PI has no word for: {failed['error']}")
            count = 0 if self.atoms is None else len(self.atoms)
            nothing = ipi.answer(0.0, np.zeros((count, 3)), ipi.ours(**failed))
            self.connection.send(ipi.word(ipi.FORCEREADY), nothing)
            return
        if label is None:
            raise ProtocolError(f"{self.connection.peer} asks for forces without a geometry")
        extras = ipi.ours(
            free_energy=label.free_energy,
            scf_cycles=label.scf_cycles,
            wall_time=label.wall_time,
            restarts=label.restarts,
        )
        self.connection.send(
            ipi.word(ipi.FORCEREADY), ipi.answer(label.energy, label.forces, extras)
        )
        self._cycles.append(label.scf_cycles)
        self.report = replace(self.report, calls=self.report.calls + 1)

    def _rest(self) -> None:
        failure: ipi.Json = {}
        if isinstance(self.parent, RestingParent):
            try:
                self.parent.rest()
            except FinetunaError as exc:
                failure = encode_failure(exc)
        self._send_ours(ipi.RESTED, failure)

    def _send_ours(self, word: str, content: ipi.Json) -> None:
        said = json.dumps({ipi.KEY: ipi.VERSION, **content})
        self.connection.send(ipi.word(word), ipi.text(said))
