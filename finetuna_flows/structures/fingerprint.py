"""A name for a structure that changes with anything the run depends on."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from ase import Atoms

from finetuna_flows.geometry import free_components

FORMAT = b"finetuna_flows structure 1"
"""Changes when what is hashed changes, so that old fingerprints never match by accident."""


def structure_fingerprint(atoms: Atoms) -> str:
    """SHA-256 of numbers, positions, cell, periodicity, fixed components, tags, initial moments.

    Exact: the last bit of a coordinate counts, the order of the atoms too. The way constraints
    are written down does not, only what they fix.

    Raises
    ------
    StructureError
        If a constraint is neither ``FixAtoms`` nor ``FixCartesian``.
    """
    digest = sha256(FORMAT)
    parts = (
        ("<i8", atoms.numbers),
        ("<f8", atoms.positions),
        ("<f8", atoms.cell),
        ("<i8", atoms.pbc),
        ("<i8", free_components(atoms)),
        ("<i8", atoms.get_tags()),
        ("<f8", atoms.get_initial_magnetic_moments()),
    )
    for kind, part in parts:
        array = np.ascontiguousarray(part, dtype=kind)
        digest.update(repr(array.shape).encode())
        digest.update((array + 0).tobytes())  # -0.0 + 0 is 0.0
    return digest.hexdigest()
