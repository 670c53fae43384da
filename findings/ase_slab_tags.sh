#!/usr/bin/env bash
# ASE 3.29.0: the tags of its slab builders are no one convention, and collide with OC20's
# (0 fixed, 1 free slab, 2 adsorbate).
#
# Seen: fcc111 counts layers from the top, so that of two layers the lower one is tagged 2, as an
# adsorbate is in OC20; add_adsorbate gives 0, as a fixed atom has; fcc211 tags every atom 0;
# hcp10m10 gives one tag to two planes of atoms 1.7 Å apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ase==3.29.0
venv/bin/python - <<'PYTHON'
from ase.build import add_adsorbate, fcc111, fcc211, hcp10m10


def tags_by_height(slab):
    planes = {}
    for atom in slab:
        planes.setdefault(round(float(atom.z), 1), set()).add(int(atom.tag))
    return [planes[height] for height in sorted(planes)]


two = fcc111("Cu", (2, 2, 2), vacuum=6.0)
add_adsorbate(two, "O", 1.2, "fcc")
seen = {
    "fcc111, O on two layers": tags_by_height(two),
    "fcc211": tags_by_height(fcc211("Cu", (3, 1, 1), vacuum=6.0)),
    "hcp10m10": tags_by_height(hcp10m10("Ti", (1, 2, 2), vacuum=6.0)),
}
for name, tags in seen.items():
    print(name, "from below:", tags)
assert seen["fcc111, O on two layers"] == [{2}, {1}, {0}], seen
assert seen["fcc211"] == [{0}, {0}, {0}], seen
assert seen["hcp10m10"] == [{2}, {2}, {1}, {1}], seen
PYTHON
