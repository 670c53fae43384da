"""Between ASE and pymatgen without loss of constraints, tags and initial magnetic moments.

pymatgen's ``AseAtomsAdaptor`` does most of it. It is repaired here where it loses something: it
takes selective dynamics for Cartesian (see `constraints`), skips negative indices and the second
of two constraints on one atom, turns a missing moment into NaN, and hands calculators on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from monty.json import jsanitize
from pymatgen.core.structure import Molecule, Structure
from pymatgen.io.ase import AseAtomsAdaptor, MSONAtoms

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.constraints import (
    constraints_from,
    free_along_axes,
    free_along_lattice,
    with_cartesian_constraints,
)

PER_ATOM = ("selective_dynamics", "tags", "magmom")
"""Site properties that mean something here; each must be there for every site or for none."""


def to_atoms(structure: Structure | Molecule) -> Atoms:
    """Form of ASE: free of calculators, with constraints, tags and initial moments.

    Other site properties come along where every site has them.

    Raises
    ------
    StructureError
        If sites are disordered, or a property that matters is given for some sites only.
    """
    if not structure.is_ordered:
        raise StructureError(
            f"{structure.formula} has partly occupied sites but every site must hold one element; "
            "order it first"
        )
    bare = structure.copy()
    flags = _whole(bare, "selective_dynamics")
    for name, values in structure.site_properties.items():
        if name == "selective_dynamics" or any(value is None for value in values):
            if name in PER_ATOM:
                _whole(structure, name)
            bare.remove_site_property(name)
    atoms: Atoms = AseAtomsAdaptor.get_atoms(bare, msonable=False)
    atoms.calc = None
    if flags is not None:
        free = np.asarray(flags, dtype=bool).reshape(-1, 3)
        if isinstance(structure, Structure):
            free = free_along_axes(structure.lattice.matrix, free)
        atoms.set_constraint(constraints_from(free))
    return atoms


def to_structure(atoms: Atoms) -> Structure:
    """Form of pymatgen, with the site properties ``selective_dynamics``, ``tags`` and ``magmom``.

    What `atoms.info` holds becomes properties, as far as JSON can say it.

    Raises
    ------
    StructureError
        If the cell has no volume (see `to_portable`), or a constraint has no counterpart.
    """
    if atoms.cell.rank < 3:
        raise StructureError(
            f"the cell of {atoms.symbols} has {atoms.cell.rank} independent vectors but pymatgen "
            "needs 3; keep it as ASE Atoms or give it a cell"
        )
    bare = with_cartesian_constraints(atoms)
    free = free_components(bare)
    bare.calc = None
    bare.set_constraint()
    structure: Structure = AseAtomsAdaptor.get_structure(bare)
    structure.properties = jsanitize(structure.properties)
    if not free.all():
        flags = free_along_lattice(structure.lattice.matrix, free)
        structure.add_site_property("selective_dynamics", flags.tolist())
    for name in ("magmom", "charge"):
        if name in structure.site_properties:
            plain = np.asarray(structure.site_properties[name]).tolist()
            structure.add_site_property(name, plain)
    return structure


def to_portable(atoms: Atoms) -> Structure | MSONAtoms:
    """Form that crosses a job: a Structure where periodic, else (molecules) serialisable Atoms."""
    if atoms.pbc.any() and atoms.cell.rank == 3:
        return to_structure(atoms)
    bare = with_cartesian_constraints(atoms)
    bare.calc = None
    return MSONAtoms(bare)  # type: ignore[no-untyped-call]  # pymatgen leaves it untyped


def _whole(structure: Structure | Molecule, name: str) -> Sequence[object] | None:
    values: Sequence[object] = structure.site_properties.get(name) or ()
    missing = [index for index, value in enumerate(values) if value is None]
    if len(missing) == len(values):
        return None
    if missing:
        raise StructureError(
            f"site property `{name}` is missing on site {missing[0]} ({len(missing)} of "
            f"{len(values)}) but must be given for all sites or for none"
        )
    return values
