"""What makes a structure the one that a run started from."""

from __future__ import annotations

from ase import Atoms

from finetuna_flows.geometry import free_components


def structure_identity(atoms: Atoms) -> dict[str, object]:
    """Everything a run depends on, as plain JSON: what a checkpoint is compared by.

    Symbols, positions and cell in Å, periodicity, free components, tags, initial moments. The way
    constraints are written down does not count, only what they fix. Coordinates are to be compared
    within rounding: a Structure keeps fractions of the cell, so a round trip changes last bits.

    Raises
    ------
    StructureError
        If a constraint is neither ``FixAtoms`` nor ``FixCartesian``.
    """
    return {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.tolist(),
        "pbc": atoms.pbc.tolist(),
        "free": free_components(atoms).tolist(),
        "tags": atoms.get_tags().tolist(),
        "magmoms": atoms.get_initial_magnetic_moments().tolist(),
    }
