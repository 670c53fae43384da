"""How far bonds lead through a periodic structure: molecule, chain, sheet or crystal."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

NEIGHBOUR_FACTOR = 1.5
"""Times the sum of two covalent radii (Cordero et al., Dalton Trans. 2832 (2008), as in ASE): atoms
of a metal's layer that are nearer are neighbours, also in the open fcc (110)."""


def periodic_directions(atoms: Atoms) -> int:
    """In how many directions bonds lead from an atom to its own images, from 0 to 3.

    Of several networks the one that does in most directions counts.
    """
    first, second, image = neighbor_list(
        "ijS", atoms, NEIGHBOUR_FACTOR * covalent_radii[atoms.numbers]
    )
    bonds = coo_array(
        (np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms))
    ).tocsr()
    most, left = 0, set(range(len(atoms)))
    way = {(int(i), int(j)): s for i, j, s in zip(first, second, image, strict=True)}
    while left:
        order, before = breadth_first_order(bonds, min(left), directed=False)
        place = np.zeros((len(atoms), 3))
        for atom in order[1:].tolist():
            parent = int(before[atom])
            place[atom] = place[parent] + way[parent, atom]
        left -= set(order.tolist())
        inside = np.isin(first, order)
        around = place[first[inside]] + image[inside] - place[second[inside]]
        most = max(most, int(np.linalg.matrix_rank(around)) if len(around) else 0)
    return most
