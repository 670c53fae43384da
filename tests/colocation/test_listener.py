"""The learner's door: who may knock where, and what becomes of those who are not awaited."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.address import (
    TcpAddress,
    UnixAddress,
    interface_address,
    parse_address,
)
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.listener import Listener
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.errors import PeerError
from tests.colocation.visitors import Door, crowd, parent_in
from tests.systems import oxygen_on_copper

HALF_A_WORD = b"NEEDI"
HALF_A_PROOF = ipi.word(ipi.NEEDINIT) + ipi.word(ipi.PROOF) + ipi.integer(200) + b'{"finetuna_'
SOON = 15.0
"""Seconds within which the parent must be admitted, whoever else is there."""


@pytest.fixture
def stay() -> Iterator[list[socket.socket]]:
    """Sockets of a crowd, which stay open as long as the test does."""
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def test_the_socket_lies_in_a_private_folder_that_goes(tmp_path: Path) -> None:
    with Listener(tmp_path) as listener:
        (address,) = listener.addresses
        assert isinstance(address, UnixAddress)
        folder = Path(address.path).parent
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == os.getuid()
        assert address.is_here
        assert listener.name == f"{folder.name.removeprefix('ipi_')}/s"
        assert len(listener.name) <= 20  # NWChem takes no more
    assert list(tmp_path.iterdir()) == []
    assert not address.is_here


def test_two_learners_do_not_share_a_door(tmp_path: Path) -> None:
    with Listener(tmp_path) as one, Listener(tmp_path) as other:
        assert one.addresses != other.addresses


def test_the_folder_goes_where_a_visitor_makes_trouble(tmp_path: Path) -> None:
    def admit(newcomer: Connection) -> None:
        newcomer.receive_word()
        raise RuntimeError("trouble")

    with Listener(tmp_path) as listener, listener.addresses[0].connect(5.0) as visitor:
        visitor.sendall(ipi.word(ipi.NEEDINIT))
        with pytest.raises(RuntimeError, match="trouble"):
            listener.meet(admit, 5.0)
        assert visitor.recv(ipi.WORD) == ipi.word(ipi.STATUS)
        assert visitor.recv(ipi.WORD) == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interface", ["lo", "127.0.0.1", "localhost"])
def test_tcp_is_listened_to_on_the_interface_that_was_named(tmp_path: Path, interface: str) -> None:
    with Listener(tmp_path, interface) as listener:
        _, address = listener.addresses
        assert isinstance(address, TcpAddress)
        assert address.host == "127.0.0.1"
        address.connect(5.0).close()
        with pytest.raises(ConnectionRefusedError):
            TcpAddress("127.0.0.2", address.port).connect(5.0)


def test_without_an_interface_there_is_no_tcp(tmp_path: Path) -> None:
    with Listener(tmp_path) as listener:
        assert [type(each) for each in listener.addresses] == [UnixAddress]


@pytest.mark.parametrize("interface", ["0.0.0.0", "0", ""])
def test_all_interfaces_at_once_are_refused(tmp_path: Path, interface: str) -> None:
    words = f"interface is '{interface}', which means all of them, .* name it, as in ib0"
    with pytest.raises(ValueError, match=words):
        Listener(tmp_path, interface)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_interface_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"interface is 'ib7' but must be one of .*\(.*lo"):
        interface_address("ib7")


def test_another_machines_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"interface is at 192\.0\.2\.7, which is not here"):
        Listener(tmp_path, "192.0.2.7")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_is_refused_with_the_setting_that_helps(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    words = "longer than the 107 bytes a UNIX socket's path may have; set FINETUNA_FLOWS_SOCKET_P"
    with pytest.raises(ValueError, match=words):
        Listener(long)
    assert list(long.iterdir()) == []


@pytest.mark.parametrize("address", [UnixAddress("/tmp/a:b/s"), TcpAddress("10.0.0.1", 4000)])
def test_addresses_come_back_from_their_words(address: UnixAddress | TcpAddress) -> None:
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "words", ["", "unix:", "tcp:host", "tcp::12", "tcp:host:0", "tcp:host:65536", "tcp:host:-1"]
)
def test_other_words_are_no_address(words: str) -> None:
    with pytest.raises(ValueError, match=r"but must be unix:PATH or tcp:HOST:PORT"):
        parse_address(words)


def test_an_address_with_a_long_path_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than the 107 bytes"):
        parse_address(f"unix:/{'x' * 107}")


def test_the_deadline_is_named_with_what_was_awaited_where(tmp_path: Path) -> None:
    with Listener(tmp_path, "lo") as listener:
        where = f"unix:{tmp_path}.*/s or tcp:127.0.0.1:[0-9]+"
        with pytest.raises(PeerError, match=rf"the parent did not come to {where} within 0.2 s"):
            listener.meet(lambda _: None, 0.2)


def test_the_watch_ends_the_wait(tmp_path: Path) -> None:
    def watch() -> None:
        raise PeerError("the parent's process ended with exit code 1")

    with Listener(tmp_path) as listener, pytest.raises(PeerError, match="exit code 1"):
        listener.meet(lambda _: None, 60.0, watch)


def test_the_watch_is_asked_all_the_time(tmp_path: Path) -> None:
    asked: list[float] = []
    with Listener(tmp_path) as listener, pytest.raises(PeerError):
        listener.meet(lambda _: None, 0.9, lambda: asked.append(time.monotonic()))
    assert len(asked) >= 4


def test_a_visitor_that_has_gone_again_is_no_trouble(tmp_path: Path) -> None:
    with Listener(tmp_path) as listener:
        listener.addresses[0].connect(5.0).close()
        with listener.addresses[0].connect(5.0) as visitor:
            visitor.sendall(ipi.word(ipi.READY))
            with listener.meet(lambda newcomer: newcomer, 5.0) as admitted:
                assert admitted.receive_word() == ipi.READY


@pytest.mark.parametrize(
    "said",
    [b"", b"\0\xff" * 20, b"GET / HTTP/1.1\r\nHost: me\r\n\r\n", HALF_A_WORD],
    ids=["nothing", "rubbish", "HTTP", "half a word"],
)
def test_forty_strangers_at_once_do_not_keep_the_parent_out(
    said: bytes, tmp_path: Path, stay: list[socket.socket]
) -> None:
    visits = crowd(40, said, stay), parent_in(tmp_path)
    patience = Patience(meet=SOON, close=SOON)
    with RemoteParent(Door(*visits), patience, "lo", "EMT elsewhere") as parent:
        parent.prepare(oxygen_on_copper())
        assert parent.level == "EMT()"


@pytest.mark.slow
def test_strangers_that_hang_in_their_proof_do_not_keep_the_parent_out(
    tmp_path: Path, stay: list[socket.socket]
) -> None:
    visits = crowd(40, HALF_A_PROOF, stay), parent_in(tmp_path)
    patience = Patience(meet=4 * SOON, close=SOON)
    with RemoteParent(Door(*visits), patience, "lo", "EMT elsewhere") as parent:
        parent.prepare(oxygen_on_copper())
        assert parent.level == "EMT()"
