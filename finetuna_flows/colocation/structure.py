"""What a parent must know of a structure besides cell and positions, as plain JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

Json = dict[str, Any]

SENT_APART = ("positions",)
"""Of the arrays of Atoms; they come with every geometry."""
PLAIN = (str, int, float, bool)


def encode_structure(atoms: Atoms) -> Json:
    """Species, periodic directions, every array by atom, and plain entries of `info`."""
    arrays = {
        name: values.tolist() for name, values in atoms.arrays.items() if name not in SENT_APART
    }
    info = {key: value for key, value in atoms.info.items() if isinstance(value, PLAIN)}
    return {"pbc": atoms.pbc.tolist(), "arrays": arrays, "info": info}


def decode_structure(encoded: Json) -> Atoms:
    """Undo `encode_structure`; cell and positions are zero, there are no constraints."""
    arrays = dict(encoded["arrays"])
    atoms = Atoms(numbers=arrays.pop("numbers"), pbc=encoded["pbc"], info=encoded["info"])
    for name, values in arrays.items():
        atoms.set_array(name, np.asarray(values))
    return atoms
