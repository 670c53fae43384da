"""Bonds and what became of them: whether the adsorbate is whole and still on its surface.

Two atoms are bonded where they are closer than a factor times the sum of their covalent radii
(Cordero et al., Dalton Trans. 2832 (2008), as in ASE), periodic images included.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from finetuna_flows.axis import has_vacuum, is_periodic, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array, Mask, displacements, free_components, moved
from finetuna_flows.reasons import Integrity
from finetuna_flows.structures.surface import heights, surface_normal
from finetuna_flows.structures.tags import tagged_adsorbate

Indices = NDArray[np.int64]

BOND_FACTOR = 1.3
"""Within the adsorbate. In 20 published systems of the FINETUNA benchmark (starts and ends of five
methods) the ratio is at most 1.07 for bonded pairs and at least 1.60 for all others."""
CONTACT_FACTOR = 1.5
"""Between adsorbate and slab. There the closest pair of an adsorbed molecule is at most 1.27, and
the first that is no contact 1.58; a molecule above the slab has 7."""

SAME_ATOM = 1e-6
"""Å; what is nearer is an atom itself, not a bond."""
RMSD_TOLERANCE = 0.15
"""Å. In the same data, ends within 15 meV of VASP CG's lie at most 0.143 from it, but for one at
0.221 that is another minimum by chance; all others lie at least 0.155 away. The gap is narrow, so
the farthest atom is judged too."""
FARTHEST_TOLERANCE = 0.45
"""Å. There at most 0.36 in the same minimum, at least 0.56 in another one."""
SLACK = 1.15
"""How much longer a bond of one minimum may be in the other and still be the same bond."""


@dataclass(frozen=True)
class Bonds:
    """Bonds from some atoms to some others."""

    first: Indices
    """Index of the atom where each bond starts, shape (m,)."""
    second: Indices
    """Index of the atom where it ends, shape (m,)."""
    vectors: Array
    """Å, shape (m, 3), from the first atom to that image of the second which is bonded."""

    def reaching(self, members: Set[int]) -> Bonds:
        """Only the bonds that end in `members`."""
        keep = np.isin(self.second, list(members))
        return Bonds(self.first[keep], self.second[keep], self.vectors[keep])


@dataclass(frozen=True)
class MinimumMatch:
    """How alike two endpoints are."""

    same_bonds: bool
    """Whether the bonds of the free atoms are the same."""
    rmsd: float
    """Å, over the free atoms."""
    farthest: float
    """Å, of the atom that lies farthest from its counterpart."""
    same: bool
    """Whether all three together say that it is one minimum."""


def find_bonds(atoms: Atoms, first: Sequence[int], second: Sequence[int], factor: float) -> Bonds:
    """Bonds between two groups, shorter than `factor` times the sum of the covalent radii.

    Tries every image; for a few atoms against many that is quicker than a neighbour list of all.
    """
    reach = factor * np.add.outer(
        covalent_radii[atoms.numbers[first]], covalent_radii[atoms.numbers[second]]
    )
    nearest, images = _images(atoms, first, second, float(reach.max(initial=0.0)))
    vectors = nearest[:, :, None] + images
    square = np.einsum("ijmk,ijmk->ijm", vectors, vectors)
    i, j, m = np.nonzero((square < reach[..., None] ** 2) & (square > SAME_ATOM**2))
    return Bonds(np.asarray(first)[i], np.asarray(second)[j], vectors[i, j, m])


def fragments(atoms: Atoms, members: Sequence[int]) -> frozenset[frozenset[int]]:
    """Molecules that `members` make among themselves, each as a set of indices."""
    pieces = {index: {index} for index in members}
    bonds = find_bonds(atoms, members, members, BOND_FACTOR)
    for first, second in zip(bonds.first.tolist(), bonds.second.tolist(), strict=True):
        if pieces[first] is not pieces[second]:
            pieces[first] |= pieces[second]
            for index in pieces[second]:
                pieces[index] = pieces[first]
    return frozenset(map(frozenset, pieces.values()))


def integrity(start: Atoms, end: Atoms) -> Integrity:
    """Compare the adsorbate with what it was.

    It is dissociated if its atoms make other molecules among themselves than at the start, has
    crossed the vacuum if a molecule touches the slab only from the other side, and is desorbed if
    a molecule that touched the slab no longer does. The first of these that holds is returned.
    A bond that opens or closes within a molecule that stays connected is not noticed; see
    `same_minimum`.

    Parameters
    ----------
    start
        Its tags say what the adsorbate is; see `tagged_adsorbate`.
    end
        The same atoms in the same order; wrapping does not matter.
    """
    _check_same_atoms(start, end)
    adsorbate = tagged_adsorbate(start)
    if not adsorbate:
        return Integrity.NO_ADSORBATE
    molecules = fragments(start, adsorbate)
    if fragments(end, adsorbate) != molecules:
        return Integrity.DISSOCIATED
    slab = np.setdiff1d(np.arange(len(start)), adsorbate).tolist()
    before = find_bonds(start, slab, adsorbate, CONTACT_FACTOR)
    after = find_bonds(end, slab, adsorbate, CONTACT_FACTOR)
    axis = _crossable(start, adsorbate)
    findings = {
        _moved_away(start, end, slab, (before.reaching(each), after.reaching(each)), axis)
        for each in molecules
    }
    for finding in (Integrity.CROSSED_VACUUM, Integrity.DESORBED):
        if finding in findings:
            return finding
    return Integrity.INTACT


def same_minimum(a: Atoms, b: Atoms) -> MinimumMatch:
    """Whether two endpoints of relaxations from one start are the same minimum.

    Atoms are matched by their order, which relaxations from one start keep; minima that differ
    by a permutation of like atoms or by a symmetry of the slab count as different. Wrapping does
    not matter. Where nothing is fixed a common translation is taken out, and of an unfixed
    molecule the rotation too.

    Parameters
    ----------
    a
        Its constraints say which atoms are free.
    b
        The same atoms in the same order.
    """
    _check_same_atoms(a, b)
    free = free_components(a)
    other = moved(a, a.positions + _difference(a, b, free))
    distance = np.linalg.norm(other.positions - a.positions, axis=1)[free.any(axis=1)]
    rmsd = float(np.sqrt(np.mean(distance**2))) if len(distance) else 0.0
    farthest = float(distance.max(initial=0.0))
    same_bonds = _kept(a, other, free) and _kept(other, a, free)
    close = rmsd <= RMSD_TOLERANCE and farthest <= FARTHEST_TOLERANCE
    return MinimumMatch(same_bonds, rmsd, farthest, same=same_bonds and close)


def _check_same_atoms(a: Atoms, b: Atoms) -> None:
    if not np.array_equal(a.numbers, b.numbers):
        raise ValueError(
            f"the structures are {a.symbols} and {b.symbols} but must hold the same atoms in the "
            "same order"
        )


def _images(
    atoms: Atoms, first: Sequence[int], second: Sequence[int], reach: float
) -> tuple[Array, Array]:
    """Ways between two groups to images within half a cell, and the translations to try there."""
    cell = np.asarray(atoms.cell.complete())
    inverse = np.linalg.inv(cell)
    ways = (atoms.positions[second][None] - atoms.positions[first][:, None]) @ inverse
    ways -= np.round(ways) * atoms.pbc
    per_height = np.linalg.norm(inverse, axis=0)  # one over the distance of the cell's faces
    counts = np.where(atoms.pbc, np.ceil(reach * per_height + 0.5), 0).astype(int)
    steps = product(*(range(-count, count + 1) for count in counts))
    return ways @ cell, np.array(list(steps), dtype=np.float64) @ cell


def _crossable(start: Atoms, adsorbate: Sequence[int]) -> int | None:
    """Cell vector through a vacuum with the slab's next image behind; None: there is none."""
    try:
        axis = surface_axis(start, adsorbate)
    except StructureError:
        return None
    slab = start[np.setdiff1d(np.arange(len(start)), adsorbate)]
    return axis if is_periodic(start)[axis] and has_vacuum(slab)[axis] else None


def _moved_away(
    start: Atoms, end: Atoms, slab: Sequence[int], contacts: tuple[Bonds, Bonds], axis: int | None
) -> Integrity:
    """What became of one molecule, from its contacts with the slab before and after."""
    before, after = contacts
    if not len(before.first):
        return Integrity.INTACT
    if not len(after.first):
        return Integrity.DESORBED
    if axis is None:
        return Integrity.INTACT
    if _sides(start, slab, before, axis).isdisjoint(_sides(end, slab, after, axis)):
        return Integrity.CROSSED_VACUUM
    return Integrity.INTACT


def _sides(atoms: Atoms, slab: Sequence[int], contacts: Bonds, axis: int) -> frozenset[bool]:
    """Whether the slab is touched from above its middle, from below it, or both."""
    height = np.zeros(len(atoms))
    height[slab] = heights(atoms[slab], axis)
    reached = height[contacts.first] + contacts.vectors @ surface_normal(atoms, axis)
    return frozenset((reached > height.max() / 2).tolist())


def _difference(a: Atoms, b: Atoms, free: Mask) -> Array:
    if not free.all():
        return displacements(a.positions, b.positions, a)
    if not a.pbc.any():
        turned = b.copy()
        turned.set_constraint()
        minimize_rotation_and_translation(a, turned)
        return np.asarray(turned.positions - a.positions)
    way = displacements(a.positions, b.positions, a)
    return np.asarray(way - way.mean(axis=0))


def _kept(a: Atoms, b: Atoms, free: Mask) -> bool:
    """Whether every bond of a free atom in `a` is, slightly longer perhaps, there in `b`."""
    return _keys(a, free, BOND_FACTOR) <= _keys(b, free, BOND_FACTOR * SLACK)


def _keys(atoms: Atoms, free: Mask, factor: float) -> frozenset[tuple[int, ...]]:
    """Each bond of a free atom as its two ends and the image of the second."""
    reach = factor * covalent_radii[atoms.numbers]
    first, second, image = neighbor_list("ijS", atoms, reach)
    movable = np.isin(first, np.flatnonzero(free.any(axis=1)))
    table = np.column_stack([first, second, image])[movable]
    return frozenset(map(tuple, table.tolist()))
