"""An engine that speaks i-PI and misbehaves: `ipi_engine.py MODE NAME_OF_SOCKET`.

It answers zeros, in all modes but one, for the atoms that `Written` wrote, and needs nothing but
the standard library, so that it is there at once.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ase import Atoms

INPUT = "count.txt"
TOLD = "told.txt"
"""Every word that came, a line each."""
EXITS, DIES, STAYS_AWAY, NAN, MISCOUNTS, HALF, WANTS_INIT, DEAF, PLAIN, STRICT, TURNS = (
    "exits",
    "dies",
    "stays-away",
    "nan",
    "miscounts",
    "half",
    "wants-init",
    "deaf",
    "plain",
    "strict",
    "turns",
)
STRICT_END = 14
"""Exit code of the strict one, whatever it ends for."""
NEAR = 1e-6
"""Bohr; between the geometry of the input file and the first that is sent."""


class Written:
    """Writes the input file, as the calculators of ASE do that run programs."""

    directory = Path()

    def write_input(self, atoms: Atoms, properties: object, system_changes: object) -> None:
        """Say how many atoms there are, and where, in Bohr."""
        places = " ".join(f"{each / 0.529177210903:.12f}" for each in atoms.positions.flat)
        Path(INPUT).write_text(f"{len(atoms)} {places}")


class Unable:
    """Cannot write its input file."""

    directory = Path()

    def write_input(self, atoms: Atoms, properties: object, system_changes: object) -> NoReturn:
        """Refuse."""
        raise RuntimeError("there is no pseudopotential for Cu")


class Engine:
    """One connection, as a state that changes with the words that come."""

    def __init__(self, mode: str, name: str) -> None:
        self._mode = mode
        count, *places = Path(INPUT).read_text().split()
        self._atoms = int(count)
        self._places = [float(each) for each in places]
        self._last = ""
        self._sent: tuple[float, ...] = ()
        self._state = "NEEDINIT" if mode == WANTS_INIT else "READY"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30.0)
        self._socket.connect(f"/tmp/ipi_{name}")

    def serve(self) -> None:
        """Answer until ``EXIT``, or as badly as the mode says."""
        while (word := self._read(12).decode().strip()) != "EXIT":
            with Path(TOLD).open("a") as told:
                told.write(word + "\n")
            if self._mode == STRICT and word == self._last == "STATUS":
                print("the second STATUS in a row", flush=True)  # noqa: T201 - its last words
                sys.exit(STRICT_END)
            self._last = word
            getattr(self, f"_on_{word.lower()}")()
        if self._mode == DEAF:
            time.sleep(60.0)
        if self._mode == STRICT:
            sys.exit(STRICT_END)

    def _on_status(self) -> None:
        self._say(self._state)

    def _on_init(self) -> None:
        _, length = struct.unpack("2i", self._read(8))
        self._read(length)
        self._state = "READY"

    def _on_posdata(self) -> None:
        if self._state != "READY":
            sys.exit("a geometry came before INIT")
        self._read(18 * 8)
        (count,) = struct.unpack("i", self._read(4))
        self._sent = struct.unpack(f"<{3 * count}d", self._read(3 * 8 * count))
        if self._mode == STRICT and self._places:
            if max(abs(a - b) for a, b in zip(self._sent, self._places, strict=True)) > NEAR:
                print("the geometry is not the one of the input", flush=True)  # noqa: T201
                sys.exit(STRICT_END)
            self._places = []
        if self._mode == DIES:
            print("the density does not converge", flush=True)  # noqa: T201 - its last words
            sys.exit(7)
        self._state = "HAVEDATA"

    def _on_getforce(self) -> None:
        count = self._atoms + (self._mode == MISCOUNTS)
        energy = float("nan") if self._mode == NAN else -1.0
        forces = self._turning() if self._mode == TURNS else bytes(3 * 8 * count)
        message = struct.pack("<di", energy, count) + forces + bytes(9 * 8) + struct.pack("ix", 1)
        if self._mode == HALF:
            message = message[:40]
        self._say("FORCEREADY", message)
        if self._mode == HALF:
            self._socket.close()
            time.sleep(60.0)
        self._state = "NEEDINIT" if self._mode == WANTS_INIT else "READY"

    def _turning(self) -> bytes:
        """Forces that turn all atoms about an axis along z."""
        triples = zip(*[iter(self._sent)] * 3, strict=True)
        return b"".join(struct.pack("<3d", -y, x, 0.0) for x, y, _ in triples)

    def _say(self, word: str, content: bytes = b"") -> None:
        self._socket.sendall(word.encode().ljust(12) + content)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                sys.exit("the driver has gone")
            data += chunk
        return data


if __name__ == "__main__":
    chosen, socket_name = sys.argv[1:]
    if chosen == EXITS:
        print("starting")  # noqa: T201 - its last words
        sys.exit("no licence is left")
    if chosen == STAYS_AWAY:
        time.sleep(60.0)
    with contextlib.suppress(BrokenPipeError):
        Engine(chosen, socket_name).serve()
