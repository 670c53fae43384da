"""Which cell vector leads out of a surface: the one along which the widest gap between atoms is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array, Mask

AXES = "abc"
"""Names of the cell vectors."""
ADSORBATE = 2
"""OC20's tag of an adsorbate's atoms."""
LEAST_VACUUM = 5.0
"""Å; no narrower gap is vacuum. The layers of graphite and of layered iodides lie 3.3 to 3.6 Å
apart."""
VACUUM_FACTOR = 1.5
"""Nor is one that is narrower than this times the sum of the covalent radii on both sides (Cordero
et al., Dalton Trans. 2832 (2008), as in ASE): atoms so near are in contact."""
FLAT = 1e-6
"""Area or volume of the cell vectors, relative to their lengths' product, that counts as none."""
ROUNDING = 1e-6
"""Å by which a gap may fall short of vacuum."""
WIDER = 1.5
"""How much wider the vacuum along the normal is than any other. Of the 20 published systems of the
FINETUNA benchmark one has another, a cut across far sheets of MoTe2; the ratio is 1.66 there."""


def surface_axis(atoms: Atoms, adsorbate: Sequence[int] | None = None) -> int:
    """Cell vector that leads out of the surface, through the widest gap between atoms.

    It is the one along which the structure is not periodic, where there is one such. Else it is
    found by the gaps: the widest must be vacuum, and clearly wider than any other vacuum.

    Parameters
    ----------
    atoms
        A slab.
    adsorbate
        Indices of its adsorbate: if that fills the vacuum, the gaps without it count. None: the
        atoms with OC20's tag of an adsorbate, 2.

    Raises
    ------
    StructureError
        If there is vacuum along no axis (a crystal) or alike along several (a wire, a molecule),
        or along others than the one that is not periodic, naming the gaps; if two cell vectors
        or more are missing, or they span no volume.
    """
    vectors = np.asarray(atoms.cell)[atoms.cell.any(1)]
    lengths = np.linalg.norm(vectors, axis=1)
    span = np.sqrt(max(np.linalg.det(vectors @ vectors.T), 0.0)) if len(vectors) > 1 else 0.0
    if not span > FLAT * np.prod(lengths):
        raise StructureError(
            f"the cell vectors of {atoms.symbols} span 0 {'Å³' if len(vectors) == 3 else 'Å²'} but "
            "a slab needs a surface along two of them; mend the cell"
        )
    left_out = np.flatnonzero(atoms.get_tags() == ADSORBATE) if adsorbate is None else adsorbate
    try:
        return _only_axis(atoms)
    except StructureError:
        if len(left_out) in (0, len(atoms)):
            raise
    return _only_axis(atoms[np.setdiff1d(np.arange(len(atoms)), left_out)])


def has_vacuum(atoms: Atoms) -> Mask:
    """Whether there is vacuum along each cell vector, or no periodicity, shape (3,).

    There is vacuum where some stretch, at right angles to the two other vectors, is out of the
    reach of every atom.
    """
    return ~is_periodic(atoms) | _empty(atoms)


def gaps(atoms: Atoms) -> Array:
    """Widest gap between atoms along each cell vector in Å, shape (3,).

    It is measured at right angles to the two other vectors, across the faces of the cell too;
    infinite where the structure is not periodic.
    """
    return np.where(is_periodic(atoms), _gaps(atoms), np.inf)


def gaps_in_words(atoms: Atoms) -> str:
    """The gaps along all cell vectors, in words."""
    periodic = is_periodic(atoms)
    words = []
    for axis, gap in enumerate(_gaps(atoms)):
        width = f"{gap:.1f} Å" if np.isfinite(gap) else "no end"
        words.append(f"{AXES[axis]} {width}{'' if periodic[axis] else ' (not periodic)'}")
    return "widest gaps between atoms along " + ", ".join(words)


def normal_last(atoms: Atoms, axis: int) -> Atoms:
    """Copy with the cell vectors in another cyclic order, so that `axis` is the third.

    Atoms and vectors stay where they are.
    """
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    copy: Atoms = atoms.copy()
    copy.set_cell(atoms.cell[order])
    copy.pbc = atoms.pbc[order]
    return copy


def _only_axis(atoms: Atoms) -> int:
    """Find the axis by the gaps of these atoms."""
    wide, empty = _gaps(atoms), _empty(atoms)
    open_axes = np.flatnonzero(~is_periodic(atoms))
    if len(open_axes) == 1:
        axis = int(open_axes[0])
        if empty.any() and not empty[axis]:
            raise StructureError(
                f"{atoms.symbols} is not periodic along {AXES[axis]} but has its vacuum elsewhere "
                f"({gaps_in_words(atoms)}); switch the periodicity off along the normal alone"
            )
        return axis
    if not empty.any():
        raise StructureError(
            f"{atoms.symbols} has vacuum along no axis ({gaps_in_words(atoms)}; "
            f"{LEAST_VACUUM:g} Å are the least), so that its surface normal is not known; widen "
            "the vacuum or switch the periodicity off along the normal"
        )
    first, *others = sorted(np.flatnonzero(empty).tolist(), key=lambda axis: -wide[axis])
    alike = [first, *(axis for axis in others if wide[axis] * WIDER >= wide[first])]
    if len(alike) > 1:
        raise StructureError(
            f"{atoms.symbols} has vacuum along {' and '.join(AXES[axis] for axis in sorted(alike))}"
            f" ({gaps_in_words(atoms)}) but a slab has it along its normal; name atoms by index, "
            "or switch the periodicity off along the normal"
        )
    return int(first)


def is_periodic(atoms: Atoms) -> Mask:
    """Whether the structure repeats along each cell vector, which must be there, shape (3,)."""
    return np.asarray(atoms.pbc & atoms.cell.any(1), dtype=bool)


def _empty(atoms: Atoms) -> Mask:
    """Whether there is vacuum along each cell vector if it is repeated."""
    reach = np.maximum(LEAST_VACUUM / 2, VACUUM_FACTOR * covalent_radii[atoms.numbers])
    return np.array([_widest_gap(atoms, axis, reach) >= -ROUNDING for axis in range(3)])


def _gaps(atoms: Atoms) -> Array:
    """Widest gap in Å along each cell vector if it is repeated; infinite where it is missing."""
    return np.array([_widest_gap(atoms, axis, np.zeros(len(atoms))) for axis in range(3)])


def _widest_gap(atoms: Atoms, axis: int, reach: Array) -> float:
    """Å; widest stretch along an axis farther than `reach` (n,) from each atom, or negative."""
    if not atoms.cell[axis].any() or not len(atoms):
        return float("inf")
    across = np.linalg.inv(atoms.cell.complete())[:, axis]
    period = float(1 / np.linalg.norm(across))  # the distance of the two faces
    if not (reach < period / 2).all():  # one atom reaches round the whole period
        return float(period - 2 * reach.max())
    level = (atoms.positions @ across) % 1 * period
    images = np.array([[-period], [0.0], [period]])
    starts, ends = (level - reach + images).ravel(), (level + reach + images).ravel()
    order = np.argsort(starts, kind="stable")
    covered = np.maximum.accumulate(ends[order])[:-1]
    inside = (covered >= 0) & (covered < period)  # beyond, images are missing
    return float((starts[order][1:] - covered)[inside].max())
