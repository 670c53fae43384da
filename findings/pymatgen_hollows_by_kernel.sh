#!/usr/bin/env bash
# pymatgen 2026.10.24 (pymatgen-core 2026.10.16, numpy 2.4.6, scipy 1.17.1, from PyPI), x86-64.
#
# AdsorbateSiteFinder.find_adsorption_sites gives the two hollows of an fcc (111) slab in an order
# that rounding decides: slabs of one shape, which differ in the lattice constant alone, have hcp or
# fcc first, and one slab, the same decimals in every process, has the one or the other with
# another kernel of OpenBLAS. Two nodes of a cluster with different processors, or one where
# OPENBLAS_CORETYPE is set, then put an adsorbate on different sites.
#
# Seen (layers behind the symbol; the kernels SkylakeX need a processor with AVX-512):
#   Haswell: Pt2 fcc, Pt3 fcc, Pt4 fcc, Pd2 hcp, Pd3 hcp, Pd4 hcp, Ag2 hcp, Ag3 hcp, Ag4 hcp
#   Nehalem: Pt2 fcc, Pt3 fcc, Pt4 fcc, Pd2 hcp, Pd3 hcp, Pd4 hcp, Ag2 hcp, Ag3 hcp, Ag4 hcp
#   SkylakeX: Pt2 hcp, Pt3 hcp, Pt4 hcp, Pd2 hcp, Pd3 hcp, Pd4 hcp, Ag2 hcp, Ag3 hcp, Ag4 hcp
# Exits with 1 if slabs of one shape have the same kind first, or, where SkylakeX can be loaded, if
# all kernels give the same.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pymatgen==2026.10.24 pymatgen-core==2026.10.16 numpy==2.4.6 scipy==1.17.1 threadpoolctl==3.8.0

cat > "$folder/hollows.py" <<'PYTHON'
import warnings
from itertools import product
from math import sqrt

import scipy.linalg
from pymatgen.core import Lattice, Structure
from pymatgen.core.adsorption import AdsorbateSiteFinder
from threadpoolctl import threadpool_info

warnings.simplefilter("ignore")


def slab(element, a, n_layers):
    """2 x 2 cells of fcc (111), in decimals: what one file would give every process."""
    d, h = a / sqrt(2), a / sqrt(3)
    rows = [[2 * d, 0, 0], [d, sqrt(3) * d, 0], [0, 0, 15 + n_layers * h]]
    sites = []
    for layer, i, j in product(range(n_layers), range(2), range(2)):
        s = (layer - n_layers + 1) % 3 / 3  # A, B, C downwards
        x, y = i + s, j + s
        sites.append([x * d + y * d / 2, y * sqrt(3) / 2 * d, 7.5 + layer * h])
    lattice = Lattice([[round(value, 8) for value in row] for row in rows])
    coords = [[round(value, 8) for value in site] for site in sites]
    return Structure(lattice, [element] * len(coords), coords, coords_are_cartesian=True)


def kind(structure, point, n_layers):
    """hcp if an atom of the second layer is right below the point, else fcc."""
    levels = sorted({round(float(z), 3) for z in structure.cart_coords[:, 2]})
    below = [site for site in structure if abs(site.coords[2] - levels[-2]) < 0.1]
    point = [point[0], point[1], levels[-2]]
    away = min(structure.lattice.get_distance_and_image(
        site.frac_coords, structure.lattice.get_fractional_coords(point))[0] for site in below)
    return "hcp" if away < 0.5 else "fcc"


loaded = sorted({each["architecture"] for each in threadpool_info()})
words = []
for (element, a), n_layers in product([("Pt", 3.92), ("Pd", 3.89), ("Ag", 4.09)], (2, 3, 4)):
    structure = slab(element, a, n_layers)
    hollows = AdsorbateSiteFinder(structure).find_adsorption_sites(distance=0.0)["hollow"]
    words.append(f"{element}{n_layers} {kind(structure, hollows[0], n_layers)}")
print("/".join(loaded) + ": " + ", ".join(words))
PYTHON

for kernel in Haswell Nehalem SkylakeX; do
    OPENBLAS_CORETYPE=$kernel "$folder/venv/bin/python" "$folder/hollows.py" | tee "$folder/$kernel"
done

if [ "$(grep -o 'hcp\|fcc' "$folder/Haswell" | sort -u | wc -l)" = 1 ]; then
    echo "slabs of one shape have the same hollow first: this has changed"
    exit 1
fi
if ! grep -q '^SkylakeX:' "$folder/SkylakeX"; then
    echo "this processor loads no kernels SkylakeX, so kernels are not compared"
elif [ "$(sed 's/.*: //' "$folder/Haswell" "$folder/SkylakeX" | sort -u | wc -l)" = 1 ]; then
    echo "all kernels give the same hollow first: this has changed"
    exit 1
fi
