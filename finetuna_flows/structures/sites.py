"""The sites of a surface that symmetry does not make equal, named and in one order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from ase import Atoms
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from finetuna_flows.geometry import Array
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.structures.plane import SAME_PLACE, Images, Plane, in_one_piece, with_tags
from finetuna_flows.structures.setting import GRID
from finetuna_flows.structures.stacking import Stacking, stacking
from finetuna_flows.structures.surface_points import EQUALLY_NEAR, Kind, Point, surface_points
from finetuna_flows.structures.tags import Tag
from finetuna_flows.ties import on_grid, order_by

SYMMETRY = 0.1
"""Å by which atoms may be off a symmetry of the slab, as in pymatgen's ``AdsorbateSiteFinder``."""
EQUAL = 1e-3
"""Å, or fractions of a cell vector; sites whose measures differ by less are ordered by the next."""
NEIGHBOURS = 12
"""Distances to so many atoms tell the surroundings of two sites apart."""


@dataclass(frozen=True)
class AdsorptionSite:
    """A site of a surface; it stands for all that symmetry makes equal to it."""

    name: str
    """One of its own on this slab: the kind, or for hollows between close-packed atoms what lies
    below, ``hcp`` (an atom of the second layer) or ``fcc`` (none); then, with hyphens, as much as
    tells it from the others: elements (``hcp-Cu2Pt``), atoms touched (``hollow-4fold``), ``short``
    and ``long`` bridges, a number."""
    kind: Kind
    """Of ``ontop``, ``bridge``, ``hollow``."""
    elements: str
    """Formula of the atoms it touches."""
    coordination: int
    """How many atoms it touches."""
    equals: int
    """How many sites of the slab's cell symmetry makes equal to it, itself among them."""
    position: tuple[float, float, float]
    """Å; the middle of the atoms it touches."""


def adsorption_sites(slab: Atoms) -> tuple[AdsorptionSite, ...]:
    """The sites of the top surface that symmetry does not make equal.

    Their order: ontop, bridge, hollow; fewer atoms touched first; hcp, fcc, other hollows; elements
    touched, by their formula; higher sites first; nearer surroundings first; fractional coordinates
    along the surface. Of sites that are equal by symmetry the one with the lowest fractional
    coordinates is given. So the answer is the same on every machine, and but for the last criterion
    the same for every cell of one surface that has its symmetry.

    Parameters
    ----------
    slab
        Atoms tagged as adsorbate do not count.

    Examples
    --------
    >>> from finetuna_flows.structures.slabs import build_slab
    >>> [site.name for site in adsorption_sites(build_slab("Pt", (1, 1, 1)))]
    ['ontop', 'bridge', 'hcp', 'fcc']
    >>> [site.name for site in adsorption_sites(build_slab("Fe", (1, 1, 0)))]
    ['ontop', 'bridge-short', 'bridge-long', 'hollow']
    """
    tagged = with_tags(slab)
    bare = in_one_piece(tagged[tagged.get_tags() != Tag.ADSORBATE])
    bare.set_constraint()
    plane = Plane.of(bare)
    groups = _orbits(bare, surface_points(bare), plane)
    points = [group[0] for group in groups]
    below = [stacking(point, bare) if point.kind == "hollow" else None for point in points]
    order = _order(points, below, bare, plane)
    names = _names([points[i] for i in order], [below[i] for i in order], bare)
    return tuple(
        _site(name, points[index], len(groups[index]), bare, plane)
        for name, index in zip(names, order, strict=True)
    )


def sites_called(sites: Sequence[AdsorptionSite], name: str) -> list[AdsorptionSite]:
    """The sites of a kind (``hollow``), of a name (``hcp-Cu2Pt``) or of its beginning (``hcp``).

    Raises
    ------
    ValueError
        If no kind is called so and the slab has no such site; its names are listed.
    """
    kinds = get_args(Kind)
    found = [site for site in sites if site.kind == name or f"{site.name}-".startswith(f"{name}-")]
    if not found and name not in kinds:
        known = ", ".join(dict.fromkeys((*kinds, *(site.name for site in sites))))
        raise ValueError(f"`site` is {name!r} but must be one of {known}")
    return found


def _orbits(slab: Atoms, points: list[Point], plane: Plane) -> list[list[Point]]:
    """Points grouped by symmetry; in each group those with the lowest coordinates first."""
    rotations, shifts = _symmetry(slab, plane.axes[2])
    positions = np.array([point.position for point in points])
    fractions = positions @ np.linalg.inv(slab.cell.array)
    kinds = np.array([point.kind for point in points])
    left = order_by(list(plane.split(positions).T), SAME_PLACE)
    groups = []
    while len(left):
        first = left[0]
        off = (rotations @ fractions[first] + shifts)[:, None] - fractions[left]
        away = np.linalg.norm((off - np.round(off)) @ slab.cell.array, axis=2)
        equal = (away < EQUALLY_NEAR).any(axis=0) & (kinds[left] == kinds[first])
        groups.append([points[index] for index in left[equal]])
        left = left[~equal]
    return groups


def _symmetry(slab: Atoms, up: Array) -> tuple[Array, Array]:
    """Rotations (m, 3, 3) and shifts (m, 3) of fractional coordinates that leave the top on top."""
    cell = slab.cell.array
    found = SpacegroupAnalyzer(to_structure(slab), SYMMETRY).get_symmetry_operations()
    rotations = np.array([operation.rotation_matrix for operation in found])
    shifts = np.array([operation.translation_vector for operation in found])
    turned = up @ np.linalg.inv(cell) @ rotations.transpose(0, 2, 1) @ cell
    kept = turned @ up > 0
    return rotations[kept], shifts[kept]


def _order(
    points: list[Point], below: list[Stacking | None], slab: Atoms, plane: Plane
) -> list[int]:
    split = plane.split(np.array([point.position for point in points]))
    formulas = [_formula(point, slab) for point in points]
    alphabet = sorted(set(formulas))
    columns: list[Array] = [
        np.array([get_args(Kind).index(point.kind) for point in points]),
        np.array([len(point.atoms) for point in points]),
        np.array([(*get_args(Stacking), None).index(each) for each in below]),
        np.array([alphabet.index(formula) for formula in formulas]),
        -split[:, 2],
        *_surroundings(points, Images.of(slab, plane)).T,
        *split[:, :2].T,
    ]
    return [int(index) for index in order_by(columns, EQUAL)]


def _surroundings(points: list[Point], images: Images) -> Array:
    """Distances to the nearest atoms in Å, shape (n, NEIGHBOURS)."""
    away = [np.linalg.norm(images.positions - point.position, axis=1) for point in points]
    return np.sort(away, axis=1)[:, :NEIGHBOURS]


def _names(points: list[Point], below: list[Stacking | None], slab: Atoms) -> list[str]:
    names = [str(under or point.kind) for point, under in zip(points, below, strict=True)]
    touched = {slab.symbols[atom] for point in points for atom in point.atoms}
    if len(touched) > 1:
        formulas = [_formula(point, slab) for point in points]
        names = [f"{name}-{formula}" for name, formula in zip(names, formulas, strict=True)]
    names = _told_apart(names, [f"{len(point.atoms)}fold" for point in points])
    names = _told_apart(names, _lengths(names, points))
    return _told_apart(names, [str(names[: i + 1].count(name)) for i, name in enumerate(names)])


def _told_apart(names: list[str], words: list[str]) -> list[str]:
    """Names, with a word more where those of one name have different words."""
    words_of = defaultdict(set)
    for name, word in zip(names, words, strict=True):
        words_of[name].add(word)
    return [
        f"{name}-{word}" if len(words_of[name]) > 1 else name
        for name, word in zip(names, words, strict=True)
    ]


def _lengths(names: list[str], points: list[Point]) -> list[str]:
    """``short`` and ``long`` for the two bridges of one name, if their lengths differ."""
    words = [""] * len(points)
    for name in set(names):
        those = [i for i, each in enumerate(names) if each == name and points[i].kind == "bridge"]
        lengths = [float(np.linalg.norm(np.diff(points[i].corners, axis=0))) for i in those]
        if len(those) == 2 and np.ptp(lengths) > EQUALLY_NEAR:
            words[those[int(np.argmin(lengths))]] = "short"
            words[those[int(np.argmax(lengths))]] = "long"
    return words


def _formula(point: Point, slab: Atoms) -> str:
    counts = Counter(slab.symbols[atom] for atom in point.atoms)
    return "".join(f"{each}{counts[each] if counts[each] > 1 else ''}" for each in sorted(counts))


def _site(name: str, point: Point, equals: int, slab: Atoms, plane: Plane) -> AdsorptionSite:
    x, y, z = on_grid(plane.split(point.position[None]) @ plane.axes, GRID)[0].tolist()
    return AdsorptionSite(
        name, point.kind, _formula(point, slab), len(point.atoms), equals, (x, y, z)
    )
