#!/usr/bin/env bash
# ASE 3.29.0: a .traj keeps what lies in a frame's info, but of its arrays only those that ASE
# itself knows. Labels that training sets carry per atom (REF_forces) are gone without a word,
# while the energy beside them (REF_energy, in info) stays; extended XYZ keeps both.
#
# Seen: after .traj the frame has REF_energy and no REF_forces; after .extxyz it has both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ase==3.29.0
venv/bin/python -W error - <<'PYTHON'
import ase.io
import numpy as np
from ase.build import molecule

labelled = molecule("CO")
labelled.info["REF_energy"] = -14.8
labelled.new_array("REF_forces", np.array([[0.0, 0.0, 0.1], [0.0, 0.0, -0.1]]))
seen = {}
for name in ("set.traj", "set.extxyz"):
    ase.io.write(name, labelled)
    again = ase.io.read(name)
    seen[name] = ("REF_energy" in again.info, "REF_forces" in again.arrays)
    print(name, "keeps REF_energy, REF_forces:", *seen[name])
assert seen == {"set.traj": (True, False), "set.extxyz": (True, True)}, seen
PYTHON
