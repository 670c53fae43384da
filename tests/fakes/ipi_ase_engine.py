"""ASE's own i-PI client round EMT, as an engine: `ipi_ase_engine.py NAME_OF_SOCKET`."""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.socketio import SocketClient

INPUT = "atoms.json"


class Written:
    """Writes the input file, as the calculators of ASE do that run programs."""

    directory = Path()

    def write_input(self, atoms: Atoms, properties: object, system_changes: object) -> None:
        """Keep cell and atoms, whose constraints would make forces zero."""
        if atoms.constraints:
            raise ValueError("the structure has constraints, which would change its forces")
        ase.io.write(INPUT, atoms)


if __name__ == "__main__":
    read = ase.io.read(INPUT)
    assert isinstance(read, Atoms)
    read.calc = EMT()
    SocketClient(unixsocket=sys.argv[1], timeout=60.0).run(read)
