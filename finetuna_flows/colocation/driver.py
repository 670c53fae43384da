"""The learner's side of the protocol: prove, introduce, ask, let rest, end.

An engine is asked as the strictest ones want it: one ``STATUS`` before ``POSDATA`` and one before
``GETFORCE``, never two in a row (ABINIT 9.6 takes a word out of turn for the end), and ``INIT``
whenever it says ``NEEDINIT`` (NWChem 7.0 does before every geometry).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection, Watch
from finetuna_flows.colocation.failure import check_failure
from finetuna_flows.colocation.isolated import check_isolated
from finetuna_flows.colocation.proof import is_proven, new_token, prove
from finetuna_flows.colocation.standard_cell import Turn
from finetuna_flows.colocation.structure import encode_structure
from finetuna_flows.errors import ParentError, PeerError, ProtocolError
from finetuna_flows.records import Label

logger = logging.getLogger(__name__)

PROOF_PATIENCE = 10.0
"""Seconds for each message of the proof."""
LABEL_BYTES = 9 * ipi.FLOAT.itemsize


@dataclass(frozen=True)
class Introduced:
    """What a parent of ours says of itself."""

    level: str
    """Of theory."""
    settings: str = ""
    """What it worked out for the structure, where its level depends on that."""
    elements: frozenset[str] | None = None
    """Symbols that it knows; None where it cannot tell."""
    rests: bool = False
    """Whether it holds processors between labels and can leave them."""
    where: str = ""
    """Host and process."""


@dataclass
class Driver:
    """One connection to a parent that was admitted."""

    connection: Connection
    ours: bool
    """Whether it speaks our dialect."""
    proof: ipi.Json = field(default_factory=dict)
    """What this side has to prove still."""
    is_in_step: bool = True
    """Whether both sides agree on what comes next; false in the middle of an exchange."""
    standard_cell: bool = False
    """Whether geometries travel in the frame where the cell is lower triangular."""
    _is_ready: bool = False
    _known: ipi.Json | None = None
    _first: Atoms | None = None

    @classmethod
    def admit_ours(cls, connection: Connection, token: str) -> Driver:
        """Have a newcomer prove that it knows the token; nothing of the run is told before.

        Raises
        ------
        PeerError, ProtocolError
            If it cannot.
        """
        connection.receive_word(ipi.NEEDINIT, patience=PROOF_PATIENCE)
        mine = new_token()
        connection.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(ipi.ours(challenge=mine)))
        connection.receive_word(ipi.PROOF, patience=PROOF_PATIENCE)
        said = connection.receive_ours()
        theirs = said.get("challenge")
        if not is_proven(said.get("proof"), token, "parent", mine, theirs):
            raise ProtocolError(f"{connection.peer} does not know the token of this run")
        proof = {"proof": prove(token, "learner", str(theirs), mine)}
        return cls(connection, ours=True, proof=proof)

    @classmethod
    def admit_foreign(cls, connection: Connection, *, standard_cell: bool = False) -> Driver:
        """Take an engine that speaks i-PI and nothing else.

        Parameters
        ----------
        connection
            To the engine.
        standard_cell
            As the field of that name.

        Raises
        ------
        PeerError, ProtocolError
            If it does not even do that.
        """
        word = connection.receive_word(ipi.NEEDINIT, ipi.READY, patience=PROOF_PATIENCE)
        if word == ipi.NEEDINIT:
            connection.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(""))
        ready = word == ipi.READY
        return cls(connection, ours=False, standard_cell=standard_cell, _is_ready=ready)

    def introduce(self, atoms: Atoms, patience: float, watch: Watch) -> Introduced | None:
        """Tell the parent which structure it is; what it says of itself, if it is ours.

        Raises
        ------
        PeerError
            If it is gone, silent, or off the protocol.
        ParentError, StructureError, ValueError, TypeError
            If it cannot label this structure.
        """
        known = self._told(atoms)
        if not self.ours:
            self._known, self._first = known, atoms.copy()
            return None
        said = ipi.ours(
            structure=encode_structure(atoms), cell=np.asarray(atoms.cell).tolist(), **self.proof
        )
        self._known, self.is_in_step = None, False
        self.connection.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(said))
        self.proof = {}
        self.connection.receive_word(ipi.PARENT, patience=patience, watch=watch)
        answered = self.connection.receive_ours()
        self.is_in_step = True
        check_failure(answered)
        self._known = known
        elements = answered.get("elements")
        return Introduced(
            level=str(answered.get("level")),
            settings=str(answered.get("settings", "")),
            elements=None if elements is None else frozenset(elements),
            rests=answered.get("rests") is True,
            where=str(answered.get("where", "")),
        )

    def knows(self, atoms: Atoms) -> bool:
        """Whether the parent was told of this structure, wherever its atoms are now."""
        return self._known == self._told(atoms)

    def can_learn(self, atoms: Atoms) -> bool:
        """Whether it can be told of this structure; an engine has read one, and its cell.

        The first geometry of an engine must be the one of its input files, which some compute
        whatever they are sent (ABINIT 9.6 ends where the two differ).
        """
        if self.ours or self._known is None:
            return True
        first = self._first
        return self.knows(atoms) and (
            first is None or np.array_equal(first.positions, atoms.positions)
        )

    def ask(self, atoms: Atoms, patience: float, watch: Watch) -> Label:
        """Label a geometry.

        Raises
        ------
        PeerError
            If the parent is gone, silent, or off the protocol.
        ParentError
            If it has no usable label.
        """
        started = time.perf_counter()
        connection, count = self.connection, len(atoms)
        turn = Turn.standard(atoms.cell.array) if self.standard_cell else Turn()
        sent = turn.turned(atoms)
        geometry = ipi.geometry(sent.cell.array, sent.positions)
        self.is_in_step = False
        self._see_ready(patience, watch)
        self._is_ready, self._first = False, None
        connection.send(ipi.word(ipi.POSDATA), geometry, ipi.word(ipi.STATUS))
        connection.receive_word(ipi.HAVEDATA, patience=patience, watch=watch)
        connection.send(ipi.word(ipi.GETFORCE))
        connection.receive_word(ipi.FORCEREADY)
        energy = ipi.read_energy(connection.receive(ipi.FLOAT.itemsize))
        connection.receive_count("atoms", ipi.ATOMS_LIMIT, exactly=count)
        forces = ipi.read_forces(connection.receive(3 * count * ipi.FLOAT.itemsize))
        connection.receive(LABEL_BYTES)
        extras = ipi.read_ours(connection.receive_text()) or {}
        elapsed = time.perf_counter() - started
        self.is_in_step = True
        check_failure(extras)
        try:
            label = Label(
                energy=energy,
                forces=turn.back(forces),
                free_energy=_number(extras.get("free_energy")),
                scf_cycles=_count(extras.get("scf_cycles")),
                wall_time=elapsed,
                restarts=_count(extras.get("restarts")) or 0,
            )
        except ParentError as exc:
            raise ParentError(f"{connection.peer}: {exc}") from exc
        if not self.ours:
            check_isolated(atoms, label.forces)
        return label

    def let_rest(self, patience: float, watch: Watch) -> None:
        """Have the parent leave its processors until it is asked again.

        Raises
        ------
        PeerError, ParentError
            If it is gone, or cannot and must.
        """
        self.is_in_step = False
        self.connection.send(ipi.word(ipi.REST))
        self.connection.receive_word(ipi.RESTED, patience=patience, watch=watch)
        said = self.connection.receive_ours()
        self.is_in_step = True
        check_failure(said)

    def end(self, patience: float, watch: Watch) -> ipi.Json:
        """Say that nothing more is asked; what a parent of ours reports of its work.

        Raises
        ------
        PeerError
            If a parent of ours is gone, or does not end in time. What an engine answered before is
            good however it ends.
        ParentError
            If it finds now that what it answered was wrong.
        """
        try:
            self.connection.send(ipi.word(ipi.EXIT))
        except PeerError as exc:
            if self.ours:
                raise
            logger.warning("the engine had ended before it was told to: %s", exc)
        if not self.ours:
            return {}
        self.connection.receive_word(ipi.CLOSED, patience=patience, watch=watch)
        said = self.connection.receive_ours()
        check_failure(said)
        return said

    def _see_ready(self, patience: float, watch: Watch) -> None:
        """Have it say that it is, unless that was its last word."""
        if self._is_ready:
            return
        connection = self.connection
        connection.send(ipi.word(ipi.STATUS))
        expected = (ipi.READY,) if self.ours else (ipi.READY, ipi.NEEDINIT)
        word = connection.receive_word(*expected, patience=patience, watch=watch)
        if word == ipi.NEEDINIT:
            connection.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(""), ipi.word(ipi.STATUS))
            connection.receive_word(ipi.READY, patience=patience, watch=watch)

    def _told(self, atoms: Atoms) -> ipi.Json:
        """What the parent cannot be told anew with a geometry."""
        told = encode_structure(atoms)
        return told if self.ours else {**told, "cell": np.asarray(atoms.cell).tolist()}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
