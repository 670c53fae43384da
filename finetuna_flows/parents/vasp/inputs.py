"""VASP's input files for a structure, and the way between its order of atoms and ours."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar, Potcar, VaspInput
from pymatgen.io.vasp.inputs import PmgVaspPspDirError

from finetuna_flows.axis import AXES, gaps_in_words, surface_axis
from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.geometry import Array
from finetuna_flows.parents.specs import Continuation, InputSetGenerator
from finetuna_flows.parents.vasp.incar import label_incar
from finetuna_flows.vasp.level import ENGINE, STAND_IN, vasp_level

ORDER = "finetuna_order"
"""Site property that tells where an atom came from."""
SAME_CELL = 1e-8
"""Å; cells that differ by less are equal."""


@dataclass(frozen=True)
class VaspInputs:
    """Input files of the labels of one structure; positions come later."""

    incar: Mapping[str, Any]
    kpoints: Kpoints | None
    """None where KSPACING says it."""
    potcar: Potcar | str
    """Symbols in lines where no POTCAR is needed."""
    order: NDArray[np.intp]
    """Index of the atom in each row of POSCAR, shape (n,)."""
    structure: Atoms
    """The structure they are for; its positions do not matter."""
    engine: str = ENGINE
    """What the program calls itself."""

    @property
    def level(self) -> str:
        """Level of theory in words."""
        if not isinstance(self.potcar, Potcar):
            return vasp_level(self.incar, self.kpoints, self.potcar.split(), self.engine)
        incar = dict(self.incar)
        if str(incar.get("PREC", "Normal"))[:1].upper() in "NA":  # others make more or less of it
            incar.setdefault("ENCUT", max(float(each.ENMAX) for each in self.potcar))
        titles = [str(each.TITEL) for each in self.potcar]
        return vasp_level(incar, self.kpoints, titles, self.engine)

    def has_moments_of(self, atoms: Atoms) -> bool:
        """Whether the initial magnetic moments are the same."""
        mine, theirs = (each.get_initial_magnetic_moments() for each in (self.structure, atoms))
        return np.array_equal(mine, theirs)

    def fits(self, atoms: Atoms) -> bool:
        """Whether these are the same atoms in the same order and cell."""
        mine = self.structure
        return (
            len(atoms) == len(mine)
            and bool((atoms.numbers == mine.numbers).all())
            and np.allclose(np.asarray(atoms.cell), np.asarray(mine.cell), rtol=0, atol=SAME_CELL)
        )

    def fits_poscar(self, poscar: Path) -> bool:
        """Whether a POSCAR that was written has the same atoms in the same order and cell."""
        if not poscar.exists():
            return False
        found = Poscar.from_file(poscar, check_for_potcar=False).structure
        mine = self.structure
        numbers = [site.specie.Z for site in found]
        cell = np.asarray(mine.cell)
        return numbers == mine.numbers[self.order].tolist() and np.allclose(
            found.lattice.matrix, cell, rtol=0, atol=SAME_CELL
        )

    def fractions(self, atoms: Atoms) -> Array:
        """Coordinates in units of the cell in POSCAR's order, shape (n, 3), not wrapped."""
        scaled = atoms.cell.scaled_positions(atoms.positions)
        return np.asarray(scaled[self.order], dtype=np.float64)

    def rows(self, atoms: Atoms) -> str:
        """The same as lines, as an interactive VASP reads them."""
        return "".join(f" {x:.16f} {y:.16f} {z:.16f}\n" for x, y, z in self.fractions(atoms))

    def to_atoms(self, rows: Array) -> Array:
        """Rows in POSCAR's order, shape (n, 3), brought into the order of the atoms."""
        ordered = np.empty_like(rows)
        ordered[self.order] = rows
        return ordered

    def write(self, folder: Path, atoms: Atoms) -> None:
        """Write INCAR, KPOINTS, POSCAR and POTCAR (or POTCAR.spec).

        POSCAR is without selective dynamics, so that the forces on all atoms are VASP's own.
        """
        symbols = atoms.symbols[self.order]
        structure = Structure(np.asarray(atoms.cell), list(symbols), self.fractions(atoms))
        Poscar(structure).write_file(folder / "POSCAR")
        Incar(dict(self.incar)).write_file(folder / "INCAR")
        if self.kpoints is not None:
            self.kpoints.write_file(str(folder / "KPOINTS"))
        if isinstance(self.potcar, Potcar):
            self.potcar.write_file(str(folder / "POTCAR"))
        else:
            (folder / "POTCAR.spec").write_text(self.potcar)


def make_inputs(
    generator: InputSetGenerator, atoms: Atoms, continuation: Continuation, *, stand_in: bool
) -> VaspInputs:
    """Ask an input set generator what a label of these atoms needs.

    Parameters
    ----------
    generator
        Left as it is.
    atoms
        With a cell of three vectors.
    continuation
        What VASP keeps from one label to the next.
    stand_in
        Whether the program stands in for VASP: the names of POTCARs are enough then.

    Raises
    ------
    StructureError
        If the cell lacks a vector.
    ParentError
        If a POTCAR cannot be found.
    ValueError
        If the tags contradict a label (`incar.label_incar`), MAGMOM does not fit the atoms, or
        IDIPOL is along the surface.
    """
    if atoms.cell.rank < 3:
        raise StructureError(
            f"the cell of {atoms.symbols} has {atoms.cell.rank} independent vectors but VASP "
            "needs 3; put the structure into a box"
        )
    made = _ask(generator, sorted_for(generator, _structure(atoms)), potcar=not stand_in)
    sites = made.poscar.structure.site_properties
    if ORDER not in sites or len(sites[ORDER]) != len(atoms):
        raise ParentError(
            f"{type(generator).__name__} made {len(made.poscar.structure)} other atoms of "
            f"{len(atoms)}; labels need a set that takes the structure as it is, without "
            "`reduce_structure` or `standardize`"
        )
    moments = made.incar.get("MAGMOM", [])
    if len(moments) not in (0, len(atoms), 3 * len(atoms)):
        raise ValueError(
            f"MAGMOM has {len(moments)} numbers for {len(atoms)} atoms; give one an atom, or three"
        )
    _check_dipole(made.incar, atoms)
    said = getattr(generator, "said_incar", generator.user_incar_settings)
    return VaspInputs(
        incar=label_incar(made.incar, said, continuation),
        kpoints=made.kpoints,
        potcar=made.potcar if isinstance(made.potcar, Potcar) else str(made.potcar),
        order=np.array(sites[ORDER], dtype=np.intp),
        structure=atoms.copy(),
        engine=STAND_IN if stand_in else ENGINE,
    )


def _check_dipole(incar: Mapping[str, Any], atoms: Atoms) -> None:
    """Refuse a dipole correction (IDIPOL 1 to 3) along another axis than the one with vacuum."""
    said = incar.get("IDIPOL")
    if said not in (1, 2, 3):
        return
    try:
        axis = surface_axis(atoms)
    except StructureError:
        return  # no slab
    if said != axis + 1:
        raise ValueError(
            f"IDIPOL is {said} but the surface normal is along {AXES[axis]} "
            f"({gaps_in_words(atoms)}); set it to {axis + 1}"
        )


def sorted_for(generator: InputSetGenerator, structure: Structure) -> Structure:
    """Sites of one element together, unless the generator has an order of its own.

    atomate2's generators have the option but hide the property of pymatgen's that heeds it.
    """
    wanted = getattr(generator, "sort_structure", False)
    return structure.get_sorted_structure() if wanted else structure


def _ask(generator: InputSetGenerator, structure: Structure, *, potcar: bool) -> VaspInput:
    try:
        return deepcopy(generator).get_input_set(structure, potcar_spec=not potcar)
    except (OSError, PmgVaspPspDirError, KeyError) as exc:
        raise ParentError(
            f"no POTCAR for {structure.formula}: {exc}; set PMG_VASP_PSP_DIR to a library that "
            "has it (`pmg config -p`), or name another in `user_potcar_settings`"
        ) from exc
    except (AttributeError, TypeError) as exc:
        raise ValueError(
            f"{type(generator).__name__} makes no input set for {structure.formula}: {exc}; see "
            "its documentation for what `user_incar_settings` takes (MAGMOM is by element)"
        ) from exc


def _structure(atoms: Atoms) -> Structure:
    moments = atoms.get_initial_magnetic_moments()
    properties: dict[str, list[Any]] = {ORDER: list(range(len(atoms)))}
    if moments.any():
        properties["magmom"] = moments.tolist()
    if atoms.has("tags"):
        properties["tags"] = atoms.get_tags().tolist()
    scaled = atoms.cell.scaled_positions(atoms.positions)
    lattice = Lattice(np.asarray(atoms.cell), pbc=tuple(atoms.pbc.tolist()))
    return Structure(lattice, list(atoms.symbols), scaled, site_properties=properties)
