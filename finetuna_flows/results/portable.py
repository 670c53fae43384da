"""Structures as documents hold them, and the metadata by which they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase import Atoms
from emmet.core.structure import StructureMetadata
from monty.json import jsanitize
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.geometry import free_components
from finetuna_flows.structures.convert import to_atoms, to_structure

SIZE = ("nsites", "volume", "density", "density_atomic")
BY_COMPOSITION = (
    "elements",
    "nelements",
    "composition",
    "composition_reduced",
    "formula_pretty",
    "formula_anonymous",
    "chemsys",
)


def to_pymatgen(atoms: Atoms) -> Structure | Molecule:
    """Return a Structure, or a Molecule where no direction is periodic.

    A cell vector that is missing along a direction without periodicity is made up: 1 Å, at right
    angles to the others. A Molecule has no cell. What ``atoms.info`` holds becomes plain JSON.
    """
    bare = atoms.copy()
    bare.info = jsanitize(atoms.info)
    if not atoms.pbc.any():
        return _molecule(bare)
    bare.cell = atoms.cell.complete()
    return to_structure(bare)


def to_ase(structure: Structure | Molecule) -> Atoms:
    """Positions, elements, tags and constraints, for comparing structures of documents."""
    return to_atoms(structure)


def geometry_of(document: Mapping[str, Any]) -> Atoms:
    """Elements, positions and cell of a structure as it is stored, and nothing else.

    A hundred times as quick as making the Structure or Molecule that it describes.
    """
    sites = document["sites"]
    lattice = document.get("lattice")
    return Atoms(
        symbols=[site["species"][0]["element"] for site in sites],
        positions=[site["xyz"] for site in sites],
        cell=lattice["matrix"] if lattice else None,
        pbc=lattice.get("pbc", True) if lattice else False,
    )


def metadata(structure: Structure | Molecule) -> dict[str, Any]:
    """Fields of emmet's metadata but the symmetry, which a slab with an adsorbate does not have.

    What a structure without a volume cannot have is None.
    """
    size: dict[str, Any] = {"nsites": len(structure)}
    if isinstance(structure, Structure):
        size["volume"] = structure.volume
        size["density"] = float(structure.density)
        size["density_atomic"] = structure.volume / len(structure)
    known = StructureMetadata.from_composition(structure.composition, list(BY_COMPOSITION), **size)
    return {field: getattr(known, field) for field in (*SIZE, *BY_COMPOSITION)}


def _molecule(atoms: Atoms) -> Molecule:
    """Leave charge and spin open: a parent decides them, and a label does not tell."""
    properties: dict[str, Any] = {}
    free = free_components(atoms)
    if not free.all():
        properties["selective_dynamics"] = free.tolist()
    if atoms.has("tags"):
        properties["tags"] = atoms.get_tags().tolist()
    if atoms.has("initial_magmoms"):
        properties["magmom"] = atoms.get_initial_magnetic_moments().tolist()
    return Molecule(
        list(atoms.symbols),
        atoms.positions,
        charge_spin_check=False,
        site_properties=properties,
        properties=atoms.info,
    )
