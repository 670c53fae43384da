"""The bytes of the protocol, as ASE reads and writes them."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest
from ase.calculators.socketio import IPIProtocol
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.errors import ProtocolError
from finetuna_flows.geometry import Array

ROUNDING = 1e-15  # of two factors in double precision
NUMBERS = st.floats(-1e8, 1e8).filter(lambda each: each == 0 or abs(each) > 1e-300)
CELL = np.array([[3.0, 0.1, 0.2], [0.3, 4.0, 0.5], [0.6, 0.7, 5.0]])
POSITIONS = np.arange(12.0).reshape(4, 3)
FORCES = np.cos(POSITIONS)

Ends = tuple[Connection, socket.socket]


@pytest.fixture
def ase(ends: Ends) -> IPIProtocol:
    """ASE's protocol at the other end."""
    return IPIProtocol(ends[1])


def test_ase_reads_the_geometry_that_is_sent(ends: Ends, ase: IPIProtocol) -> None:
    ends[0].send(ipi.word(ipi.POSDATA), ipi.geometry(CELL, POSITIONS))
    assert ase.recvmsg() == "POSDATA"
    cell, _, positions = ase.recvposdata()
    assert_allclose(cell, CELL, rtol=ROUNDING)
    assert_allclose(positions, POSITIONS, rtol=ROUNDING)


def test_the_second_matrix_is_the_inverse_of_the_first() -> None:
    data = ipi.geometry(CELL, POSITIONS)
    cell, inverse = ipi.read_floats(data[: 18 * ipi.FLOAT.itemsize]).reshape(2, 3, 3)
    assert_allclose(cell @ inverse, np.eye(3), atol=1e-14)


def test_a_molecule_without_a_cell_can_be_sent() -> None:
    data = ipi.geometry(np.zeros((3, 3)), POSITIONS)
    assert not ipi.read_floats(data[: 18 * ipi.FLOAT.itemsize]).any()


def test_the_geometry_that_ase_sends_is_read(ends: Ends, ase: IPIProtocol) -> None:
    ase.sendposdata(CELL, np.linalg.pinv(CELL).T, POSITIONS)
    assert ends[0].receive_word(ipi.POSDATA) == ipi.POSDATA
    assert_allclose(ipi.read_cell(ends[0].receive(72)), CELL, rtol=ROUNDING)
    ends[0].receive(72)
    assert ends[0].receive_count("atoms", 10) == 4
    assert_allclose(ipi.read_positions(ends[0].receive(96)), POSITIONS, rtol=ROUNDING)


def test_ase_reads_the_forces_that_are_sent(ends: Ends, ase: IPIProtocol) -> None:
    ends[0].send(ipi.word(ipi.FORCEREADY), ipi.answer(-3.5, FORCES, "said"))
    energy, forces, virial, extras = ase.sendrecv_force()
    assert energy == pytest.approx(-3.5, rel=ROUNDING)
    assert_allclose(forces, FORCES, rtol=ROUNDING)
    assert not virial.any()
    assert extras.tobytes() == b"said"


def test_the_forces_that_ase_sends_are_read(ends: Ends, ase: IPIProtocol) -> None:
    ase.sendforce(-3.5, FORCES, np.eye(3))
    assert ends[0].receive_word(ipi.FORCEREADY) == ipi.FORCEREADY
    assert ipi.read_energy(ends[0].receive(8)) == pytest.approx(-3.5, rel=ROUNDING)
    assert ends[0].receive_count("atoms", 10, exactly=4) == 4
    assert_allclose(ipi.read_forces(ends[0].receive(96)), FORCES, rtol=ROUNDING)
    ends[0].receive(72)
    assert ipi.read_ours(ends[0].receive_text()) is None


@given(arrays(np.float64, (3, 3), elements=NUMBERS))
def test_a_cell_comes_back(cell: Array) -> None:
    cell += 1e3 * np.eye(3)  # for the inverse, which is sent along
    assert_allclose(ipi.read_cell(ipi.geometry(cell, POSITIONS)[:72]), cell, rtol=ROUNDING)


@given(arrays(np.float64, (5, 3), elements=NUMBERS))
def test_positions_come_back(positions: Array) -> None:
    data = ipi.geometry(CELL, positions)
    assert len(data) == 72 + 72 + 4 + 120
    assert ipi.read_integer(data[144:148]) == 5
    assert_allclose(ipi.read_positions(data[148:]), positions, rtol=ROUNDING)


@given(NUMBERS, arrays(np.float64, (4, 3), elements=NUMBERS))
def test_energy_and_forces_come_back(energy: float, forces: Array) -> None:
    data = ipi.answer(energy, forces, "")
    assert ipi.read_energy(data[:8]) == pytest.approx(energy, rel=ROUNDING, abs=0)
    assert_allclose(ipi.read_forces(data[12:108]), forces, rtol=ROUNDING)


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_come_back(number: int) -> None:
    assert ipi.read_integer(ipi.integer(number)) == number


@given(arrays(np.float64, (7,), elements=st.floats()))
def test_floats_come_back_to_the_last_bit(values: Array) -> None:
    assert_array_equal(ipi.read_floats(ipi.floats(values)), values)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_text_comes_back_behind_its_length_in_bytes(content: str) -> None:
    data = ipi.text(content)
    assert ipi.read_integer(data[:4]) == len(data) - 4
    assert data[4:].decode() == content


def test_an_empty_text_is_a_blank() -> None:
    assert ipi.text("") == ipi.integer(1) + b" "


@pytest.mark.parametrize("word", [ipi.STATUS, ipi.FORCEREADY, ipi.PROOF, ipi.CLOSED])
def test_words_have_twelve_bytes(word: str) -> None:
    assert ipi.word(word) == word.encode() + b" " * (12 - len(word))


def test_what_is_ours_comes_back() -> None:
    assert ipi.read_ours(ipi.ours(level="EMT()", cycles=3).encode()) == {
        "finetuna_flows": 1,
        "level": "EMT()",
        "cycles": 3,
    }


@pytest.mark.parametrize(
    "content",
    [b"", b" ", b"\0", b"\xff\xfe", b"[1]", b"1", b'{"other": 1}', b'{"a'],
)
def test_what_others_say_is_not_ours(content: bytes) -> None:
    assert ipi.read_ours(content) is None


def test_brackets_without_end_are_not_ours_and_do_no_harm() -> None:
    assert ipi.read_ours(b"[" * 100_000) is None


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(version: object) -> None:
    content = json.dumps({ipi.KEY: version}).encode()
    words = rf"speaks version {version!r} of the protocol but this one speaks 1; install the same"
    with pytest.raises(ProtocolError, match=words):
        ipi.read_ours(content)
