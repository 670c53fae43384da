#!/usr/bin/env bash
# pymatgen 2026.10.24: AdsorbateSiteFinder takes the normal of a plain Structure to be across its
# first two lattice vectors, wherever the vacuum is, and says nothing.
#
# The same Cu(111) slab of 3 layers, its top at 12.16 Å, with its vectors named (a, b, c) and
# (c, a, b). Seen: in the first order 1 site on top, at the height of the top layer; in the second
# 2 sites on top, at the heights of the lowest and the middle layer, within the slab.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ase==3.29.0 pymatgen==2026.10.24
venv/bin/python -W ignore - <<'PYTHON'
from ase.build import fcc111
from pymatgen.core import Structure
from pymatgen.core.adsorption import AdsorbateSiteFinder

slab = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=8.0, periodic=True)
top = slab.positions[:, 2].max()
below = {}
for order in ([0, 1, 2], [2, 0, 1]):
    structure = Structure(
        slab.cell[order], slab.get_chemical_symbols(), slab.positions, coords_are_cartesian=True
    )
    sites = AdsorbateSiteFinder(structure).find_adsorption_sites(distance=0.0)["ontop"]
    below[tuple(order)] = sorted(round(float(top - site[2]), 2) for site in sites)
    print(order, "sites on top, Å below the top layer:", below[tuple(order)])
assert below[0, 1, 2] == [0.0], below
assert below[2, 0, 1] == [2.08, 4.16], below
PYTHON
