#!/usr/bin/env bash
# ASE 3.29.0: extended XYZ keeps FixAtoms and FixCartesian (move_mask) and leaves FixedLine and
# FixedPlane out without a word, although along an axis they say what FixCartesian says. An atom
# that was held on a line is free in the file.
#
# Seen: FixCartesian comes back; of FixedLine and FixedPlane along z nothing does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ase==3.29.0
venv/bin/python -W error - <<'PYTHON'
import ase.io
from ase.build import molecule
from ase.constraints import FixCartesian, FixedLine, FixedPlane

seen = {}
for constraint in (FixCartesian([0], (1, 1, 0)), FixedLine([0], (0, 0, 1)), FixedPlane([0], (0, 0, 1))):
    held = molecule("CO")
    held.set_constraint(constraint)
    ase.io.write("held.extxyz", held)
    seen[type(constraint).__name__] = len(ase.io.read("held.extxyz").constraints) > 0
    print(type(constraint).__name__, "is kept:", seen[type(constraint).__name__])
assert seen == {"FixCartesian": True, "FixedLine": False, "FixedPlane": False}, seen
PYTHON
