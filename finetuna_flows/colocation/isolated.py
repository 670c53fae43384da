"""What the forces on an isolated molecule must fulfil, in whatever frame an engine keeps it."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array

SHARE = 0.1
"""Of what the atoms' torques could add up to at most. By EMT's forces on four molecules, displaced
by 0.05 Å and turned by 70° (``tests/colocation/test_isolated.py``), 0.13 to 0.9 in nine cases of
ten."""
LEAST = 0.5
"""eV; what is below may be the noise of a coarse grid, or the torque of an electric field."""


def check_isolated(atoms: Atoms, forces: Array) -> None:
    """Refuse forces that turn a molecule as a whole, which costs no energy.

    Raises
    ------
    ParentError
        If the net torque is far from zero. Nothing is checked where a direction is periodic.
    """
    if atoms.pbc.any():
        return
    arms = atoms.positions - atoms.positions.mean(axis=0)
    torque = float(np.linalg.norm(np.cross(arms, forces).sum(axis=0)))
    most = float(np.linalg.norm(arms, axis=1) @ np.linalg.norm(forces, axis=1))
    if torque > LEAST and torque > SHARE * most:
        raise ParentError(
            f"the engine's forces on an isolated molecule have a net torque of {torque:.2f} eV (of "
            f"{most:.2f} at most) but must have none: it has turned the molecule, imposed a "
            "symmetry, or mixed up the atoms; NWChem needs `nocenter noautosym noautoz` in its "
            "geometry"
        )
