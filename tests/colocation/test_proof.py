"""Nobody answers for the parent, or is told anything, who does not know the token of the run."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from ase import Atoms

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.proof import is_proven, new_token, prove
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.errors import ParentError, PeerError, ProtocolError
from finetuna_flows.parents.specs import AseParentSpec
from tests.colocation.visitors import (
    Door,
    Visit,
    guesser,
    impostor,
    parent_in,
    saying,
    serve,
)

TOKEN, MINE, THEIRS = "token", "my challenge", "their challenge"
PROOF = prove(TOKEN, "parent", MINE, THEIRS)
NEEDINIT, PROVE = ipi.word(ipi.NEEDINIT), ipi.word(ipi.PROOF)
SURROGATE = json.dumps({ipi.KEY: ipi.VERSION, "proof": "0", "challenge": "\ud800"})

Ends = tuple[Connection, socket.socket]


def learner(*visits: Visit) -> RemoteParent:
    return RemoteParent(Door(*visits), Patience(meet=20.0, close=10.0), None, "EMT elsewhere")


def test_who_knows_the_token_proves_it() -> None:
    assert is_proven(PROOF, TOKEN, "parent", MINE, THEIRS)


@pytest.mark.parametrize(
    ("proof", "token", "role", "mine", "theirs"),
    [
        (PROOF, "another", "parent", MINE, THEIRS),
        (PROOF, TOKEN, "learner", MINE, THEIRS),
        (PROOF, TOKEN, "parent", "another", THEIRS),
        (PROOF, TOKEN, "parent", MINE, "another"),
        (PROOF, TOKEN, "parent", THEIRS, MINE),
        ("", TOKEN, "parent", MINE, THEIRS),
        (None, TOKEN, "parent", MINE, THEIRS),
        (0, TOKEN, "parent", MINE, THEIRS),
        (PROOF, TOKEN, "parent", MINE, None),
        ("é" * 64, TOKEN, "parent", MINE, THEIRS),
        (PROOF, TOKEN, "parent", MINE, "\ud800"),
    ],
)
def test_anything_else_proves_nothing(
    proof: object, token: str, role: str, mine: str, theirs: object
) -> None:
    assert not is_proven(proof, token, role, mine, theirs)


def test_tokens_are_new_and_long() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(each) for each in tokens} == {64}


def test_a_wrong_token_is_turned_away_and_the_right_one_admitted_after_it(
    atoms: Atoms, tmp_path: Path
) -> None:
    with learner(guesser(tmp_path / "other"), parent_in(tmp_path)) as parent:
        label = parent.label(atoms)
    with AseParentSpec().build() as emt:
        assert label.energy == pytest.approx(emt.label(atoms).energy, abs=1e-10)


def test_nothing_of_the_run_is_told_before_the_proof(atoms: Atoms, tmp_path: Path) -> None:
    received = bytearray()
    with learner(impostor(received), parent_in(tmp_path)) as parent:
        parent.label(atoms)
    said = bytes(received)
    status, init = ipi.word(ipi.STATUS), ipi.word(ipi.INIT) + ipi.integer(0)
    assert said[: len(status + init)] == status + init
    text = said[len(status + init) + ipi.INTEGER.itemsize :]
    assert set(json.loads(text)) == {ipi.KEY, "challenge"}


@pytest.mark.parametrize(
    "said",
    [
        [b"GET / HTTP/1.1\r\n\r\n"],
        [ipi.word(ipi.READY)],
        [NEEDINIT, ipi.word(ipi.READY)],
        [NEEDINIT, PROVE, ipi.integer(-1)],
        [NEEDINIT, PROVE, ipi.integer(2**31 - 1)],
        [NEEDINIT, PROVE, ipi.text("<html>")],
        [NEEDINIT, PROVE, ipi.text(ipi.ours())],
        [NEEDINIT, PROVE, ipi.text(ipi.ours(proof=[1], challenge={}))],
        [NEEDINIT, PROVE, ipi.text(SURROGATE)],
        [NEEDINIT, PROVE, ipi.text(json.dumps({ipi.KEY: 2}))],
        [NEEDINIT, PROVE, ipi.text("[" * 100_000)],
    ],
    ids=lambda said: str(said[-1][:30]),
)
def test_whatever_a_stranger_says_does_no_harm(
    said: list[bytes], atoms: Atoms, tmp_path: Path
) -> None:
    with learner(saying(*said), parent_in(tmp_path)) as parent:
        parent.prepare(atoms)
        assert parent.level == "EMT()"


def test_a_learner_that_does_not_know_the_token_is_refused(ends: Ends, tmp_path: Path) -> None:
    near, far = Connection(ends[1], "the learner"), ends[0]
    far.send(ipi.word(ipi.STATUS), ipi.word(ipi.INIT), ipi.integer(0))
    far.send(ipi.text(ipi.ours(challenge=new_token())))
    far.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(ipi.ours(proof=PROOF, structure={})))
    with pytest.raises(ProtocolError, match="the learner does not know the token of this run"):
        serve(near, tmp_path, new_token())


@pytest.mark.parametrize("said", ["", ipi.ours(structure={}, cell=[])])
def test_a_learner_that_proves_nothing_is_refused(ends: Ends, tmp_path: Path, said: str) -> None:
    near, far = Connection(ends[1], "the learner"), ends[0]
    far.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(said))
    with pytest.raises(ProtocolError, match="the learner does not know the token of this run"):
        serve(near, tmp_path, new_token())


def test_a_geometry_before_the_proof_is_refused(ends: Ends, tmp_path: Path, atoms: Atoms) -> None:
    near, far = Connection(ends[1], "the learner"), ends[0]
    far.send(ipi.word(ipi.POSDATA), ipi.geometry(atoms.cell.array, atoms.positions))
    with pytest.raises(ProtocolError, match=r"POSDATA.* where STATUS or INIT was expected"):
        serve(near, tmp_path, new_token())


def test_a_parent_without_a_token_says_so_to_a_learner_that_asks(
    ends: Ends, tmp_path: Path
) -> None:
    near, far = Connection(ends[1], "the learner"), ends[0]
    far.send(ipi.word(ipi.INIT), ipi.integer(0), ipi.text(ipi.ours(challenge=new_token())))
    with pytest.raises(ProtocolError, match="the learner asks for the token of its run, but none"):
        serve(near, tmp_path, "")


def test_both_prove_it_to_each_other(ends: Ends, tmp_path: Path, atoms: Atoms) -> None:
    near, token = Connection(ends[1], "the learner"), new_token()
    thread = threading.Thread(target=serve, args=(near, tmp_path, token), daemon=True)
    thread.start()
    ends[0].send(ipi.word(ipi.STATUS))
    driver = Driver.admit_ours(ends[0], token)
    introduced = driver.introduce(atoms, 10.0, lambda: None)
    assert introduced is not None
    assert introduced.level == "EMT()"
    assert {"Cu", "O"} <= (introduced.elements or frozenset())
    assert driver.end(10.0, lambda: None)["calls"] == 0
    thread.join(10.0)
    assert not thread.is_alive()


def test_a_parent_that_is_turned_away_learns_that_the_connection_was_closed(
    ends: Ends, tmp_path: Path
) -> None:
    ends[0].send(ipi.word(ipi.STATUS))
    ends[0].close()
    with pytest.raises(PeerError, match="the learner closed the connection"):
        serve(Connection(ends[1], "the learner"), tmp_path, new_token())


def test_if_only_strangers_come_the_learner_says_whom_it_awaited(atoms: Atoms) -> None:
    stranger = saying(b"GET / HTTP/1.1\r\n\r\n")
    parent = RemoteParent(Door(stranger), Patience(meet=0.5), None, "EMT elsewhere")
    with (
        parent,
        pytest.raises(ParentError, match=r"the parent did not come to unix:.* within 0.5 s"),
    ):
        parent.prepare(atoms)
