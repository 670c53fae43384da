"""Cut slabs out of crystals with pymatgen's ``SlabGenerator``."""

from __future__ import annotations

import math

from ase import Atoms
from ase.build import bulk as ase_bulk
from ase.data import atomic_numbers, reference_states
from ase.geometry import minkowski_reduce
from pymatgen.core.structure import Structure
from pymatgen.core.surface import SlabGenerator
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from finetuna_flows.structures.convert import to_atoms, to_structure
from finetuna_flows.structures.plane import UP
from finetuna_flows.structures.prepare import fix_bottom_layers, tag_atoms
from finetuna_flows.structures.setting import gridded, in_order, in_setting
from finetuna_flows.structures.surface import heights, layers, surface_normal

CUBIC = ("sc", "fcc", "bcc", "diamond", "zincblende", "rocksalt", "cesiumchloride", "fluorite")
"""Crystals of which ASE makes the conventional cell."""
HEXAGONAL = ("hcp", "wurtzite")
"""Crystals whose primitive cell is the conventional one."""


def build_slab(
    bulk: str | Atoms | Structure,
    miller: tuple[int, int, int] = (1, 1, 1),
    *,
    lattice_constant: float | None = None,
    crystal: str | None = None,
    n_layers: int = 4,
    supercell: tuple[int, int] = (2, 2),
    vacuum: float = 15.0,
    fixed_layers: int = 2,
    termination: int = 0,
) -> Atoms:
    """Cut a slab, its surface along z, tagged, with the bottom layers fixed.

    The shorter surface vector lies along x and an atom of the top layer at the origin; atoms count
    from the bottom layer up (see `setting`). Positions and cell are rounded to 1e-8 Å, so that the
    same slab comes from every machine.

    Parameters
    ----------
    bulk
        A name that ``ase.build.bulk`` knows (``Cu``; ``MgO`` with `crystal`), or a crystal.
    miller
        Plane in the conventional cell.
    lattice_constant
        Å, of a bulk given by name; None: the measured one in ASE's table. The engine's own
        keeps the slab free of strain.
    crystal
        ``fcc``, ``rocksalt``…, of a bulk given by name; None: the element's own.
    n_layers
        Layers of atoms: exactly so many of an element; a compound keeps whole cells, so at least.
    supercell
        How often the smallest surface cell is repeated along its two vectors, the shorter first.
    vacuum
        Å between the top of the slab and the bottom of its next image.
    fixed_layers
        How many layers to fix.
    termination
        Which of the distinct terminations, from 0; they are ordered by the atomic numbers of their
        layers from the top down.

    Raises
    ------
    StructureError
        If more layers are to be fixed than there are.
    """
    if n_layers < 1:
        raise ValueError(f"`n_layers` is {n_layers} but must be at least 1")
    if min(supercell) < 1:
        raise ValueError(f"`supercell` is {supercell} but must be at least (1, 1)")
    conventional = _conventional(bulk, lattice_constant, crystal)
    slab = _upright(_cut(conventional, miller, n_layers, termination))
    number = layers(heights(slab, UP))
    if len(set(slab.symbols)) == 1:
        slab = slab[number > number.max() - n_layers]
    slab = in_setting(slab).repeat((*supercell, 1))
    height = heights(slab, UP)
    slab.positions[:, 2] = height + vacuum / 2
    slab.cell[2] = (0.0, 0.0, height.max() + vacuum)
    return tag_atoms(fix_bottom_layers(in_order(gridded(slab)), fixed_layers, axis=UP))


def _conventional(
    bulk: str | Atoms | Structure, lattice_constant: float | None, crystal: str | None
) -> Structure:
    if isinstance(bulk, str):
        kind = _own_crystal(bulk) if crystal is None else crystal
        return to_structure(ase_bulk(bulk, kind, a=lattice_constant, cubic=kind in CUBIC))
    if lattice_constant is not None or crystal is not None:
        raise ValueError(
            f"`lattice_constant` is {lattice_constant} and `crystal` is {crystal} but a bulk that "
            "is given as a structure brings its own; leave them unset"
        )
    given = to_structure(bulk) if isinstance(bulk, Atoms) else bulk
    conventional: Structure = SpacegroupAnalyzer(given).get_conventional_standard_structure()
    return conventional


def _own_crystal(bulk: str) -> str:
    state = reference_states[atomic_numbers[bulk]] if bulk in atomic_numbers else None
    kind = state["symmetry"] if state else None
    if kind not in CUBIC + HEXAGONAL:
        raise ValueError(
            f"`bulk` is {bulk!r} but ASE's table has no simple crystal of it; name `crystal` "
            f"({', '.join(CUBIC + HEXAGONAL)}) and `lattice_constant`, or give the crystal itself"
        )
    return str(kind)


def _cut(
    bulk: Structure, miller: tuple[int, int, int], n_layers: int, termination: int
) -> Structure:
    generator = SlabGenerator(bulk, miller, min_slab_size=1.0, min_vacuum_size=1.0)
    cell = to_atoms(generator.oriented_unit_cell)
    thickness = float(abs(cell.cell[2] @ surface_normal(cell, UP)))
    repeats = math.ceil(n_layers / (int(layers(heights(cell, UP)).max()) + 1))
    generator.min_slab_size = (repeats - 0.5) * thickness  # rounded up to whole cells
    slabs = generator.get_slabs()
    if not 0 <= termination < len(slabs):
        raise ValueError(
            f"`termination` is {termination} but {bulk.reduced_formula} {miller} has {len(slabs)}, "
            "from 0"
        )
    slabs.sort(key=_composition)
    slab: Structure = slabs[termination].get_orthogonal_c_slab()
    return slab


def _composition(slab: Structure) -> list[list[int]]:
    """Atomic numbers layer by layer from the top down."""
    atoms = to_atoms(slab)
    depth = layers(-heights(atoms, UP))
    return [sorted(atoms.numbers[depth == each].tolist()) for each in range(max(depth) + 1)]


def _upright(slab: Structure) -> Atoms:
    """The slab with its shortest surface vectors in the plane z = 0 and its normal along z."""
    bare = to_atoms(slab)
    atoms = Atoms(bare.numbers, positions=bare.positions, cell=bare.cell, pbc=(True, True, False))
    short, _ = minkowski_reduce(atoms.cell, atoms.pbc)
    atoms.set_cell(short)
    if atoms.cell.handedness < 0:
        atoms.set_cell(atoms.cell[[1, 0, 2]])
    standing, _ = atoms.cell.standard_form()
    atoms.set_cell(standing, scale_atoms=True)
    atoms.wrap()
    atoms.pbc = True
    return atoms
