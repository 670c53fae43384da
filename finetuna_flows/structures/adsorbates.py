"""Put a molecule on a slab, with pymatgen's ``AdsorbateSiteFinder``."""

from __future__ import annotations

from itertools import product
from typing import Literal, get_args

import numpy as np
from ase import Atoms
from ase.build import molecule as ase_molecule
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core.adsorption import AdsorbateSiteFinder

from finetuna_flows.axis import normal_last, surface_axis
from finetuna_flows.geometry import Array, Mask
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.structures.prepare import tag_atoms
from finetuna_flows.structures.surface import heights, surface_normal
from finetuna_flows.structures.tags import ADSORBATE_FROM, NAMED, Tag, find_adsorbate
from finetuna_flows.structures.validate import check_structure

Site = Literal["ontop", "bridge", "hollow"]

UP = 2
"""Index of the cell vector that leads out of the surface once `_contiguous` has turned the cell."""
EQUALLY_NEAR = 0.15
"""Å; surface atoms that a site touches may differ by this in their distance to it."""


def add_adsorbate(
    slab: Atoms,
    molecule: str | Atoms,
    site: Site = "ontop",
    *,
    height: float | None = None,
    which: int = 0,
    anchor: int | None = None,
) -> Atoms:
    """Put a molecule on top of a slab and tag it; the slab keeps its constraints and tags.

    Parameters
    ----------
    slab
        Its surface along two cell vectors, its top on the side of the third; other adsorbates may
        be there already.
    molecule
        A symbol, a name that ``ase.build.molecule`` knows, or Atoms.
    site
        Kind of site.
    height
        Å from the highest atom of the slab to the anchor; None: as near as covalent radii allow.
    which
        Which of the sites of this kind that symmetry does not make equal, from 0.
    anchor
        Index of the atom that binds; the molecule is turned so that the rest of it points away
        from the slab. None: the molecule's lowest atom binds, and nothing is turned.

    Raises
    ------
    StructureError
        If the molecule overlaps with the slab, an adsorbate or its own images.
    """
    below = _contiguous(_tagged(slab))
    normal = surface_normal(below, UP)
    points = _choose(adsorption_sites(below), site)
    if not 0 <= which < len(points):
        raise ValueError(f"`which` is {which} but the slab has {len(points)} {site} sites, from 0")
    guest, binding = _turned(_molecule(molecule), anchor, normal)
    clean = below[below.get_tags() != Tag.ADSORBATE]
    point = points[which] - (points[which] @ normal) * normal
    if height is None:
        level = _touching(clean, point, int(guest.numbers[binding]))
    else:
        level = float((clean.positions @ normal).max()) + height
    guest.translate(point + level * normal - guest.positions[binding])
    guest.set_tags(int(Tag.ADSORBATE))
    covered: Atoms = below + guest
    covered.set_cell(slab.cell)
    covered.pbc = slab.pbc
    covered.info[ADSORBATE_FROM] = NAMED
    check_structure(covered)
    return covered


def adsorption_sites(slab: Atoms) -> dict[Site, list[Array]]:
    """Points in the top surface that symmetry does not make equal, in Å, by kind of site.

    pymatgen calls the middle of a square of atoms a bridge, where its triangulation has an edge;
    here it is a hollow, because more than two atoms are equally near.
    """
    tagged = _tagged(slab)
    bare = _contiguous(tagged[tagged.get_tags() != Tag.ADSORBATE])
    bare.set_constraint()
    finder = AdsorbateSiteFinder(to_structure(bare))
    found = finder.find_adsorption_sites(  # type: ignore[no-untyped-call]  # pymatgen leaves it untyped
        distance=0.0, positions=get_args(Site)
    )
    surface = bare[_is_surface(finder)]
    sites: dict[Site, list[Array]] = {"ontop": found["ontop"], "bridge": [], "hollow": []}
    for point in (*found["bridge"], *found["hollow"]):
        sites["bridge" if _count_nearest(surface, point) == 2 else "hollow"].append(point)
    return sites


def _choose(sites: dict[Site, list[Array]], site: Site) -> list[Array]:
    if site not in sites:
        raise ValueError(f"`site` is {site!r} but must be one of {', '.join(sites)}")
    return sites[site]


def _is_surface(finder: AdsorbateSiteFinder) -> Mask:
    return np.asarray(
        [name == "surface" for name in finder.slab.site_properties["surface_properties"]]
    )


def _tagged(slab: Atoms) -> Atoms:
    """With OC20's tags: its own, unless they count layers."""
    own = slab.has("tags") and set(slab.get_tags().tolist()) <= {*Tag}
    mistaken = own and (slab.get_tags() == Tag.ADSORBATE).any() and not find_adsorbate(slab).indices
    return slab if own and not mistaken else tag_atoms(slab)


def _contiguous(slab: Atoms) -> Atoms:
    """The slab in one piece: atoms below its bottom moved up by whole cells.

    Its third cell vector leads out of the surface then.
    """
    whole = normal_last(slab, surface_axis(slab))
    if whole.pbc[UP]:
        normal = surface_normal(whole, UP)
        shift = heights(whole, UP) - whole.positions @ normal
        cells = np.round((shift - shift.min()) / (whole.cell[UP] @ normal))
        up = cells[:, None] * whole.cell[UP]
        whole.set_positions(whole.positions + up, apply_constraint=False)
    return whole


def _molecule(molecule: str | Atoms) -> Atoms:
    if isinstance(molecule, Atoms):
        given: Atoms = molecule.copy()
        given.set_constraint()
        return given
    if molecule in atomic_numbers:
        return Atoms(molecule)
    try:
        named: Atoms = ase_molecule(molecule)
    except KeyError as exc:
        raise ValueError(
            f"`molecule` is {molecule!r} but ASE has none of that name (ase.build.molecule lists "
            "them); give Atoms instead"
        ) from exc
    named.set_initial_magnetic_moments(None)  # those of the free molecule
    return named


def _turned(molecule: Atoms, anchor: int | None, normal: Array) -> tuple[Atoms, int]:
    """The molecule standing on the surface, and the index of the atom that binds."""
    if anchor is None:
        molecule.rotate((0, 0, 1), normal)
        return molecule, int(np.argmin(np.round(molecule.positions @ normal, 6)))
    if not 0 <= anchor < len(molecule):
        raise ValueError(f"`anchor` is {anchor} but must be from 0 to {len(molecule) - 1}")
    rest = np.delete(molecule.positions, anchor, axis=0)
    if len(rest):
        up = rest.mean(axis=0) - molecule.positions[anchor]
        if np.linalg.norm(up) > 1e-3:  # else the anchor is the centre and any way is up
            molecule.rotate(up, normal)
    return molecule, anchor


def _images(slab: Atoms, point: Array) -> tuple[Array, Array]:
    """Lateral distance in Å of the atoms' images from `point`, and their heights, shape (m, n)."""
    normal = surface_normal(slab, UP)
    a, b = np.asarray(slab.cell)[:2]
    shifts = np.array([i * a + j * b for i, j in product(range(-3, 4), repeat=2)])
    away = slab.positions[None] + shifts[:, None] - point
    level = away @ normal
    distance = np.linalg.norm(away - level[..., None] * normal, axis=2)
    return distance, level + point @ normal


def _count_nearest(surface: Atoms, point: Array) -> int:
    distance, _ = _images(surface, point)
    return int((distance < distance.min() + EQUALLY_NEAR).sum())


def _touching(slab: Atoms, point: Array, number: int) -> float:
    """Height at which a falling atom meets the slab at the sum of covalent radii."""
    distance, level = _images(slab, point)
    reach = covalent_radii[number] + covalent_radii[slab.numbers][None]
    met = distance < reach
    rise = np.sqrt(np.where(met, reach**2 - distance**2, 0.0))
    return float(np.where(met, level + rise, -np.inf).max())
