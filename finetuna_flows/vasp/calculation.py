"""An ionic step of vasprun.xml."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from finetuna_flows.geometry import Array
from finetuna_flows.vasp.table import number

ENERGIES = ("e_fr_energy", "e_0_energy")


@dataclass(frozen=True)
class FiledStep:
    """An ionic step as a file has it, in POSCAR's order."""

    energy: float
    """E0 in eV."""
    free_energy: float
    """F in eV."""
    positions: Array
    """Å, shape (n, 3), wrapped as VASP wrote them."""
    forces: Array
    """eV/Å, shape (n, 3)."""
    cell: Array | None = None
    """Lattice vectors in Å, one a row; None where the step does not repeat them."""
    cycles: int | None = None
    """Electronic iterations; None where the file was not asked for them."""
    last_change: float = math.inf
    """Of F in the last of these, eV; inf where there was one alone."""


def read_calculation(calculation: Element) -> FiledStep:
    """Read a ``<calculation>``.

    Its energy is F of the step and, on top, what E0 and F of its last electronic iteration differ
    by: VASP 5's own E0 of the step is wrong, and the iteration's lacks van der Waals terms.

    Raises
    ------
    ValueError
        If it lacks energies, geometry or forces, or one of them is no number.
    """
    iterations = calculation.findall("scstep")
    structure = calculation.find("structure")
    forces = calculation.find("varray[@name='forces']")
    if not iterations or structure is None or forces is None:
        raise ValueError("it lacks electronic iterations, geometry or forces")
    whole, last = _energies(calculation), _energies(iterations[-1])
    cell, positions = read_geometry(structure)
    rows = read_rows(forces)
    if rows.shape != positions.shape:
        raise ValueError(f"it has forces of shape {rows.shape} for {len(positions)} atoms")
    return FiledStep(
        energy=extrapolated(whole["e_fr_energy"], last),
        free_energy=whole["e_fr_energy"],
        positions=positions,
        forces=rows,
        cell=cell,
        cycles=len(iterations),
        last_change=last_change([_energies(each)["e_fr_energy"] for each in iterations[-2:]]),
    )


def extrapolated(free_energy: float, last: Mapping[str, float]) -> float:
    """E0 of an ionic step in eV, from its F and E0 and F of its last electronic iteration."""
    return free_energy + last["e_0_energy"] - last["e_fr_energy"]


def last_change(free_energies: Sequence[float]) -> float:
    """Change of F in the last of some electronic iterations, eV; inf where it is the first."""
    if len(free_energies) < 2:
        return math.inf
    return abs(free_energies[-1] - free_energies[-2])


def read_geometry(structure: Element) -> tuple[Array, Array]:
    """Cell, one vector a row, and Cartesian positions, shape (n, 3), both in Å.

    Raises
    ------
    ValueError
        If one of them is missing, or is not three numbers a row.
    """
    basis = structure.find("crystal/varray[@name='basis']")
    fractions = structure.find("varray[@name='positions']")
    if basis is None or fractions is None:
        raise ValueError("a structure is without basis or positions")
    cell, rows = read_rows(basis), read_rows(fractions)
    if cell.shape != (3, 3) or rows.shape[1:] != (3,):
        raise ValueError(f"a structure has {cell.shape} of basis and {rows.shape} of positions")
    return cell, rows @ cell


def read_rows(varray: Element) -> Array:
    """Rows of numbers.

    Raises
    ------
    ValueError
        If one is no number, or rows differ in length.
    """
    return np.array([[number(word) for word in (row.text or "").split()] for row in varray])


def _energies(element: Element) -> dict[str, float]:
    found = {each.get("name", ""): each.text or "" for each in element.findall("energy/i")}
    if missing := [name for name in ENERGIES if name not in found]:
        raise ValueError(f"it has no {missing[0]}")
    return {name: number(found[name]) for name in ENERGIES}
