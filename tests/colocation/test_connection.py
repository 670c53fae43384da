"""One socket: deadlines, ends, counts and rubbish."""

from __future__ import annotations

import socket
import time
import tracemalloc

import numpy as np
import pytest
from ase.build import molecule

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection, nobody_watches
from finetuna_flows.colocation.driver import Driver
from finetuna_flows.errors import ParentError, PeerError, ProtocolError

Ends = tuple[Connection, socket.socket]
WATER = molecule("H2O")
READY_AND_DONE = ipi.word(ipi.READY) + ipi.word(ipi.HAVEDATA) + ipi.word(ipi.FORCEREADY)


def test_what_comes_in_pieces_is_put_together(ends: Ends) -> None:
    connection, far = ends
    for piece in (b"FORC", b"EREA", b"DY  "):
        far.sendall(piece)
    assert connection.receive_word() == "FORCEREADY"


def test_a_long_message_is_sent_whole(ends: Ends) -> None:
    connection, far = ends
    near = Connection(far, "this end")
    message = bytes(range(256)) * 256
    connection.send(message[:100], message[100:])
    assert near.receive(len(message)) == message


def test_silence_ends_at_the_deadline(ends: Ends) -> None:
    with pytest.raises(PeerError, match=r"the peer was silent for 0.05 s \(0 of 12 bytes came\)"):
        ends[0].receive_word(patience=0.05)


def test_half_a_message_does_not_move_the_deadline(ends: Ends) -> None:
    ends[1].sendall(b"READY")
    with pytest.raises(PeerError, match=r"silent for 0.05 s \(5 of 12 bytes came\)"):
        ends[0].receive_word(patience=0.05)


def test_a_peer_that_takes_nothing_ends_at_the_deadline(ends: Ends) -> None:
    with pytest.raises(PeerError, match=r"the peer did not take a message within 0.05 s"):
        ends[0].send(bytes(2**24), patience=0.05)


def test_silence_can_be_tried_again_but_nonsense_cannot(ends: Ends) -> None:
    with pytest.raises(PeerError) as silent:
        ends[0].receive_word(patience=0.0)
    ends[1].sendall(b"GET / HTTP/1")
    with pytest.raises(ProtocolError) as nonsense:
        ends[0].receive_word(ipi.READY)
    assert silent.value.retryable
    assert not nonsense.value.retryable


@pytest.mark.parametrize("said", [b"", b"FORCE"])
def test_a_peer_that_closes_is_named(ends: Ends, said: bytes) -> None:
    ends[1].sendall(said)
    ends[1].close()
    with pytest.raises(PeerError, match="the peer closed the connection"):
        ends[0].receive_word()


def test_a_peer_that_breaks_off_is_named_with_the_reason(ends: Ends) -> None:
    ends[0].send(b"unread")
    ends[1].close()
    with pytest.raises(PeerError, match="closed the connection: Connection reset by peer"):
        ends[0].receive_word()


def test_nothing_can_be_sent_to_a_peer_that_is_gone(ends: Ends) -> None:
    ends[1].close()
    with pytest.raises(PeerError, match="closed the connection: Broken pipe"):
        ends[0].send(b"hello")


def test_a_word_that_was_not_expected_is_named_with_those_that_were(ends: Ends) -> None:
    ends[1].sendall(b"GET / HTTP/1")
    with pytest.raises(
        ProtocolError, match=r"sent b'GET / HTTP/1' where NEEDINIT or READY was expected"
    ):
        ends[0].receive_word(ipi.NEEDINIT, ipi.READY)


def test_bytes_that_are_no_word_are_named(ends: Ends) -> None:
    ends[1].sendall(b"\xff\x00" * 6)
    with pytest.raises(ProtocolError, match=r"sent b'\\xff\\x00.*where READY was expected"):
        ends[0].receive_word(ipi.READY)


def test_text_that_is_not_ours_is_named(ends: Ends) -> None:
    ends[1].sendall(ipi.text("<html>"))
    with pytest.raises(ProtocolError, match="sent b'<html>' where our JSON was expected"):
        ends[0].receive_ours()


@pytest.mark.parametrize("count", [-1, -(2**31), 11, 2**31 - 1])
def test_counts_beyond_reason_are_refused(ends: Ends, count: int) -> None:
    ends[1].sendall(ipi.integer(count))
    with pytest.raises(ProtocolError, match=f"announced {count} atoms but 0 to 10 are accepted"):
        ends[0].receive_count("atoms", 10)


def test_a_count_that_is_known_must_be_met(ends: Ends) -> None:
    ends[1].sendall(ipi.integer(4))
    with pytest.raises(ProtocolError, match="announced 4 atoms but 3 were expected"):
        ends[0].receive_count("atoms", 10, exactly=3)


def test_a_text_of_two_gigabytes_is_refused_before_memory_is_taken(ends: Ends) -> None:
    ends[1].sendall(ipi.integer(2**31 - 1))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="announced 2147483647 bytes of text"):
            ends[0].receive_text()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_memory_is_taken_as_bytes_come_not_as_they_are_announced(ends: Ends) -> None:
    ends[1].sendall(ipi.integer(ipi.TEXT_LIMIT))
    ends[1].close()
    tracemalloc.start()
    try:
        with pytest.raises(PeerError, match="closed"):
            ends[0].receive_text()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ipi.TEXT_LIMIT / 4


def test_the_watch_is_asked_while_nothing_comes(ends: Ends) -> None:
    asked: list[float] = []

    def watch() -> None:
        asked.append(time.monotonic())
        if len(asked) == 3:
            raise PeerError("the job of the parent has ended")

    started = time.monotonic()
    with pytest.raises(PeerError, match="the job of the parent has ended"):
        ends[0].receive_word(patience=60.0, watch=watch)
    assert time.monotonic() - started < 5.0


def test_the_watch_may_know_why_a_peer_is_gone(ends: Ends) -> None:
    def watch() -> None:
        raise PeerError("exit code 137")

    ends[1].close()
    with pytest.raises(PeerError, match="exit code 137"):
        ends[0].receive_word(watch=watch)


def test_a_loss_is_seen_without_reading(ends: Ends) -> None:
    assert not ends[0].is_lost
    ends[1].sendall(b"unread")
    assert not ends[0].is_lost
    ends[1].close()
    assert ends[0].is_lost


def test_an_end_that_was_shut_down_is_a_loss(ends: Ends) -> None:
    ends[1].shutdown(socket.SHUT_WR)
    assert ends[0].is_lost


@pytest.mark.parametrize("what", ["energy", "forces"])
def test_numbers_that_are_not_finite_are_no_label(ends: Ends, what: str) -> None:
    energy = np.nan if what == "energy" else 0.0
    forces = np.full((3, 3), np.inf if what == "forces" else 0.0)
    ends[1].sendall(READY_AND_DONE + ipi.answer(energy, forces, ""))
    driver = Driver(ends[0], ours=False)
    with pytest.raises(ParentError, match=f"the peer: the parent returned {what} that are not"):
        driver.ask(WATER, 5.0, nobody_watches)


@pytest.mark.parametrize("count", [2, -1, 2**31 - 1])
def test_forces_on_another_number_of_atoms_are_refused(ends: Ends, count: int) -> None:
    ends[1].sendall(READY_AND_DONE + ipi.floats(np.zeros(1)) + ipi.integer(count))
    driver = Driver(ends[0], ours=False)
    with pytest.raises(ProtocolError, match=f"announced {count} atoms but 3 were expected"):
        driver.ask(WATER, 5.0, nobody_watches)


def test_extras_of_another_kind_are_left_alone(ends: Ends) -> None:
    extras = '{"dipole": [0, 0, 1]}'
    ends[1].sendall(READY_AND_DONE + ipi.answer(-1.0, np.zeros((3, 3)), extras))
    label = Driver(ends[0], ours=False).ask(WATER, 5.0, nobody_watches)
    assert label.energy == pytest.approx(-1.0)
    assert label.free_energy is None
    assert label.scf_cycles is None
