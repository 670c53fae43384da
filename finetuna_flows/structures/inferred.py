"""What is inferred of a structure, and from what: its adsorbate and its surface normal."""

from __future__ import annotations

import logging

from ase import Atoms

from finetuna_flows.axis import AXES, gaps_in_words, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.structures.tags import find_adsorbate

logger = logging.getLogger(__name__)

CONVENTION = 2
"""Index of the cell vector that leads out of the surface in most files."""


def inferred(atoms: Atoms) -> tuple[str, ...]:
    """A sentence on the adsorbate and, where there is a surface or could be one, on its normal."""
    found = find_adsorbate(atoms)
    said = [found.sentence(atoms)]
    if atoms.pbc.any():
        try:
            axis = surface_axis(atoms, found.indices)
            said.append(f"surface normal along {AXES[axis]}: {gaps_in_words(atoms)}")
        except StructureError as exc:
            said.append(f"no surface normal: {exc}")
    return tuple(said)


def unusual_normal(atoms: Atoms) -> str:
    """The sentence on a surface normal that is not along c; empty where it is, or is not known."""
    try:
        axis = surface_axis(atoms, find_adsorbate(atoms).indices)
    except StructureError:
        return ""
    if axis == CONVENTION:
        return ""
    return f"surface normal along {AXES[axis]} ({gaps_in_words(atoms)})"


def tell_inferred(atoms: Atoms) -> None:
    """Log what is inferred against what the tags or the order of the cell vectors suggest."""
    found = find_adsorbate(atoms)
    if found.doubted:
        logger.warning(
            "%s: %s; name its atoms (--adsorbate, `tag_atoms`)",
            atoms.symbols,
            found.sentence(atoms),
        )
    normal = unusual_normal(atoms)
    if normal:
        logger.info("%s: %s", atoms.symbols, normal)
