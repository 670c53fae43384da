#!/usr/bin/env bash
# ipi 3.3.1: the conjugate-gradient minimizer asks the engine for a geometry that it has just been
# answered, to the last bit, and some tens of times a step.
#
# Seen: two atoms on anharmonic springs, 11 lines of steps, 311 evaluations, 10 of them exact repeats.
# An engine that does not remember its answers pays for each.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ipi==3.3.1 numpy==2.4.6
printf '2\n# CELL(abcABC): 20 20 20 90 90 90 positions{atomic_unit} cell{atomic_unit}\n' > start.xyz
printf 'H 1.0 0.4 -0.3\nH -0.7 0.2 0.9\n' >> start.xyz
cat > input.xml <<XML
<simulation verbosity='low'>
 <output prefix='run'><properties filename='out'> [step, potential] </properties></output>
 <total_steps>50</total_steps>
 <ffsocket name='driver' mode='unix' pbc='False'><address>finding_$$</address></ffsocket>
 <system>
  <initialize nbeads='1'><file mode='xyz'> start.xyz </file></initialize>
  <forces><force forcefield='driver'/></forces>
  <motion mode='minimize'><optimizer mode='cg'/></motion>
 </system>
</simulation>
XML
venv/bin/i-pi input.xml > log 2>&1 &
venv/bin/python - "/tmp/ipi_finding_$$" <<'PYTHON'
import os
import socket
import struct
import sys
import time

import numpy as np

STIFF = np.array([[1.0, 2.0, 3.0], [0.5, 1.5, 2.5]])
path, asked, state = sys.argv[1], [], b"READY"
for _ in range(600):
    if os.path.exists(path):
        break
    time.sleep(0.1)
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)


def read(count):
    data = b""
    while len(data) < count:
        chunk = peer.recv(count - len(data))
        if not chunk:
            return None
        data += chunk
    return data


while (word := read(12)) is not None and word.strip() != b"EXIT":
    if word.strip() == b"STATUS":
        peer.sendall(state.ljust(12))
    elif word.strip() == b"INIT":
        read(4)
        read(*struct.unpack("i", read(4)))
    elif word.strip() == b"POSDATA":
        read(18 * 8)
        (count,) = struct.unpack("i", read(4))
        data = read(24 * count)
        asked.append(data)
        x = np.frombuffer(data).reshape(-1, 3)
        energy, forces = (STIFF * x**2 / 2 + x**4 / 4).sum(), -(STIFF * x + x**3)
        state = b"HAVEDATA"
    elif word.strip() == b"GETFORCE":
        message = struct.pack("di", energy, count) + forces.tobytes() + bytes(72)
        peer.sendall(b"FORCEREADY".ljust(12) + message + struct.pack("i", 1) + b" ")
        state = b"READY"
with open("run.out") as file:
    steps = sum(not line.startswith("#") for line in file)
repeats = len(asked) - len(set(asked))
print(f"{steps} lines of steps, {len(asked)} evaluations, {repeats} of them exact repeats")
assert repeats > 0, "no geometry is asked twice now"
assert len(asked) > 10 * steps, "a step takes few evaluations now"
PYTHON
wait
