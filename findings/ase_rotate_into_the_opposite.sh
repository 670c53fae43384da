#!/usr/bin/env bash
# ASE 3.29.0 (numpy 2.4.6), from PyPI.
#
# Atoms.rotate(a, v) turns the vector a into v. If v is the opposite of a, and a neither lies along z
# nor at a right angle to it, the atoms are not turned but distorted: the axis of that half turn,
# a cross product with z, is not brought to unit length. Turning a molecule upside down on a slab
# that is tilted against z changes its bond lengths, without a word.
#
# Seen, the largest change of a distance in methanol (Å):
#   along (0, 0, 1) and (1, 0, 0): 0.000; (0, 0.3, 1): 0.217; (0, 1, 1): 0.876; (0.5, 0.2, 1): 0.784
# Exits with 1 if no distance changes any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ase==3.29.0 numpy==2.4.6

cat > "$folder/rotate.py" <<'PYTHON'
import sys

import numpy as np
from ase.build import molecule

changes = {}
for way in [(0, 0, 1), (1, 0, 0), (0, 0.3, 1), (0, 1, 1), (0.5, 0.2, 1)]:
    methanol = molecule("CH3OH")
    methanol.rotate(methanol.positions[1] - methanol.positions[0], way)
    before = methanol.get_all_distances()
    methanol.rotate(way, -np.array(way))
    changes[way] = float(np.abs(methanol.get_all_distances() - before).max())
    print(way, f"{changes[way]:.3f} Å")
straight = changes.pop((0, 0, 1)), changes.pop((1, 0, 0))
sys.exit(0 if max(straight) < 1e-9 and min(changes.values()) > 0.1 else 1)
PYTHON

"$folder/venv/bin/python" "$folder/rotate.py" || { echo "this has changed"; exit 1; }
