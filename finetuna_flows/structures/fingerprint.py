"""What makes a structure the one that a run started from."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import Array, free_components
from finetuna_flows.ties import on_grid

SAME_START = 1e-3
"""Å by which the given geometries of one system may differ, by rounding in files."""

KEY_DECIMALS = 4
"""Of Å, to which coordinates are rounded in the key of a geometry."""


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


def start_key(atoms: Atoms) -> str:
    """Digest of a geometry: 16 hexadecimal digits of SHA-256, from numbers rounded to 0.1 mÅ.

    It names a geometry. Exact fractions of a lattice constant, which may lie in the middle between
    two rounded numbers, get one key whatever their last bits are (see `ties.on_grid`); so do what
    `build_slab` and `add_adsorbate` make and a file with eight decimals of Å holds.
    Other geometries that are equal but for rounding may get two keys.
    """
    parts = {
        "numbers": atoms.numbers.tolist(),
        "pbc": atoms.pbc.tolist(),
        "cell": _rounded(np.asarray(atoms.cell)),
        "positions": _rounded(atoms.positions),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _rounded(values: Array) -> object:
    return on_grid(values, KEY_DECIMALS).tolist()
