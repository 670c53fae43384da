"""Put a molecule on a site of a slab."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule as ase_molecule
from ase.data import atomic_numbers, covalent_radii

from finetuna_flows.geometry import Array
from finetuna_flows.structures.plane import UP, Images, Plane, in_one_piece, with_tags
from finetuna_flows.structures.setting import GRID
from finetuna_flows.structures.sites import adsorption_sites, sites_called
from finetuna_flows.structures.surface import surface_normal
from finetuna_flows.structures.tags import ADSORBATE_FROM, NAMED, Tag
from finetuna_flows.structures.validate import check_structure
from finetuna_flows.ties import first_lowest, on_grid

EQUALLY_LOW = 1e-3
"""Å; of the atoms of a molecule whose heights differ by less, the first one is the lowest."""
OPPOSITE = 1e-6
"""Sine of the angle below which two directions span no plane to turn in."""


def add_adsorbate(
    slab: Atoms,
    molecule: str | Atoms,
    site: str = "ontop",
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
        Kind of site (``ontop``, ``bridge``, ``hollow``), or the name of one or the beginning of it,
        as `adsorption_sites` gives them: ``fcc``, ``hcp``, ``bridge-long``, ``ontop-Cu``…
    height
        Å from the highest atom of the slab to the anchor; None: as near as covalent radii allow, in
        a ring that is wider than the anchor in its plane.
    which
        Which of the sites called so that symmetry does not make equal, from 0, in the order of
        `adsorption_sites`: the first hollow of close-packed atoms is hcp.
    anchor
        Index of the atom that binds; the molecule is turned so that the rest of it points away
        from the slab. None: the molecule's lowest atom binds, and nothing is turned.

    Raises
    ------
    StructureError
        If the molecule overlaps with the slab, an adsorbate or its own images.

    Examples
    --------
    >>> from finetuna_flows.structures.slabs import build_slab
    >>> covered = add_adsorbate(build_slab("Pt", (1, 1, 1)), "CO", "fcc")
    """
    below = in_one_piece(with_tags(slab))
    normal = surface_normal(below, UP)
    sites = sites_called(adsorption_sites(below), site)
    if not 0 <= which < len(sites):
        names = ", ".join(each.name for each in sites)
        raise ValueError(
            f"`which` is {which} but the slab has {len(sites)} {site} sites, from 0: {names}"
        )
    guest, binding = _turned(_molecule(molecule), anchor, normal)
    clean = below[below.get_tags() != Tag.ADSORBATE]
    middle = np.array(sites[which].position)
    point = middle - (middle @ normal) * normal
    if height is None:
        level = max(_touching(clean, point, int(guest.numbers[binding])), float(middle @ normal))
    else:
        level = float((clean.positions @ normal).max()) + height
    guest.translate(point + level * normal - guest.positions[binding])
    guest.set_positions(on_grid(guest.positions, GRID))
    guest.set_tags(int(Tag.ADSORBATE))
    covered: Atoms = below + guest
    covered.set_cell(slab.cell)
    covered.pbc = slab.pbc
    covered.info[ADSORBATE_FROM] = NAMED
    check_structure(covered)
    return covered


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
        _turn(molecule, np.array([0.0, 0.0, 1.0]), normal)
        return molecule, first_lowest(molecule.positions @ normal, EQUALLY_LOW)
    if not 0 <= anchor < len(molecule):
        raise ValueError(f"`anchor` is {anchor} but must be from 0 to {len(molecule) - 1}")
    rest = np.delete(molecule.positions, anchor, axis=0)
    if len(rest):
        up = rest.mean(axis=0) - molecule.positions[anchor]
        if np.linalg.norm(up) > 1e-3:  # else the anchor is the centre and any way is up
            _turn(molecule, up / np.linalg.norm(up), normal)
    return molecule, anchor


def _turn(molecule: Atoms, start: Array, end: Array) -> None:
    """Turn one direction into another; into its opposite, around the first axis it is far from."""
    axis, cosine = np.cross(start, end), float(start @ end)
    sine = float(np.linalg.norm(axis))
    if sine > OPPOSITE:
        molecule.rotate(np.rad2deg(np.arctan2(sine, cosine)), axis)
    elif cosine < 0:
        aside = np.eye(3)[first_lowest(np.abs(start), 0.1)]
        molecule.rotate(180.0, np.cross(start, aside))


def _touching(slab: Atoms, point: Array, number: int) -> float:
    """Height at which a falling atom meets the slab at the sum of covalent radii, or -inf."""
    plane = Plane.of(slab)
    images = Images.of(slab, plane)
    distance = np.linalg.norm(plane.flat(images.positions - point), axis=1)
    level = images.positions @ plane.axes[2]
    reach = covalent_radii[number] + covalent_radii[slab.numbers[images.atoms]]
    met = distance < reach
    rise = np.sqrt(np.where(met, reach**2 - distance**2, 0.0))
    return float(np.where(met, level + rise, -np.inf).max())
