"""Where a socket listens: a path, or one interface of this machine and a port."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

PATH_LIMIT = 107
"""Bytes of a UNIX socket's path (Linux)."""
SIOCGIFADDR = 0x8915
"""Asks for the address of an interface: netdevice(7)."""


@dataclass(frozen=True)
class UnixAddress:
    """A socket in the file system of one machine."""

    path: str

    def __str__(self) -> str:
        """As `parse_address` reads it."""
        return f"unix:{self.path}"

    @property
    def is_here(self) -> bool:
        """Whether there is such a socket on this machine."""
        return os.path.exists(self.path)  # noqa: PTH110 - the path may be another machine's

    def connect(self, patience: float) -> socket.socket:
        """Connect, or raise OSError."""
        return _connect(socket.AF_UNIX, self.path, patience)


@dataclass(frozen=True)
class TcpAddress:
    """A port of one interface."""

    host: str
    port: int

    def __str__(self) -> str:
        """As `parse_address` reads it."""
        return f"tcp:{self.host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Whether it may be tried; that it cannot be reached shows when it is."""
        return True

    def connect(self, patience: float) -> socket.socket:
        """Connect, or raise OSError."""
        return _connect(socket.AF_INET, (self.host, self.port), patience)


Address = UnixAddress | TcpAddress


def parse_address(words: str) -> Address:
    """Read ``unix:PATH`` or ``tcp:HOST:PORT``.

    Raises
    ------
    ValueError
        If it is neither, or the path is too long.
    """
    kind, _, rest = words.partition(":")
    if kind == "unix" and rest:
        if len(rest.encode()) > PATH_LIMIT:
            raise ValueError(
                f"{words!r} is longer than the {PATH_LIMIT} bytes a UNIX socket's path may have"
            )
        return UnixAddress(rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal() and 0 < int(port) < 2**16:
        return TcpAddress(host, int(port))
    raise ValueError(
        f"address is {words!r} but must be unix:PATH or tcp:HOST:PORT, with a port of 1 to 65535"
    )


def interface_address(interface: str) -> str:
    """The IPv4 address of an interface of this machine: ``ib0``, or an address or name of it.

    Raises
    ------
    ValueError
        If there is none, or it stands for all interfaces at once.
    """
    if interface in {name for _, name in socket.if_nameindex()}:
        return _address_of(interface)
    try:
        address = socket.gethostbyname(interface)
    except OSError as exc:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise ValueError(
            f"interface is {interface!r} but must be one of this machine ({names}) or the address "
            "of one"
        ) from exc
    if ipaddress.ip_address(address).is_unspecified:
        raise ValueError(
            f"interface is {interface!r}, which means all of them, but a socket of a run listens "
            "on one; name it, as in ib0"
        )
    return address


def _address_of(interface: str) -> str:
    request = struct.pack("256s", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            reply = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, request)
        except OSError as exc:
            raise ValueError(f"interface {interface!r} has no IPv4 address") from exc
    return socket.inet_ntoa(reply[20:24])


def _connect(family: int, where: str | tuple[str, int], patience: float) -> socket.socket:
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.settimeout(patience)
    try:
        connected.connect(where)
    except BaseException:
        connected.close()
        raise
    return connected
