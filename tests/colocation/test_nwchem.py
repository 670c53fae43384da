"""NWChem as the parent, by its own i-PI driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.nwchem import NWChem
from ase.constraints import FixAtoms

from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.specs import IpiParentSpec
from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from tests.contracts.engine import EngineContract
from tests.contracts.parent import shaken
from tests.engines.programs import needs

SETTINGS: dict[str, Any] = {
    "theory": "dft",
    "basis": "3-21G",
    "dft": {
        "mult": 1,
        "xc": "slater vwn_5",
        "grid": "fine",
        "convergence": {"energy": 1e-8, "density": 1e-7, "gradient": 1e-6},
    },
}

pytestmark = needs("nwchem")


class TestNWChem(EngineContract):
    """Water, turned and moved from where NWChem would have it."""

    names = frozenset({"nwchem"})
    energy_tolerance = 1e-5
    force_tolerance = 1e-3
    gradient_tolerance = 1e-2
    difference = 1e-2

    @classmethod
    def spec(cls) -> IpiParentSpec:
        arguments = {"socket": "{name}", **SETTINGS}
        target = "finetuna_flows.colocation.nwchem:nwchem"
        return IpiParentSpec("nwchem nwchem.nwi", target, arguments)

    @classmethod
    def geometry(cls) -> Atoms:
        atoms: Atoms = molecule("H2O")
        atoms.rotate(33, (1, 2, 3))
        atoms.positions += [1.0, 2.0, 3.0]
        atoms = shaken(atoms, seed=9)
        atoms.set_constraint(FixAtoms([0]))
        return atoms

    @classmethod
    def refused(cls) -> tuple[dict[str, object], str]:
        return {"socket": "{name}", **SETTINGS, "basis": "no-such-set"}, "basis"

    @classmethod
    def alone(cls, atoms: Atoms, folder: Path) -> tuple[float, Array]:
        calculator: Any = NWChem(command="nwchem nwchem.nwi > nwchem.nwo", **SETTINGS)
        calculator.directory = folder
        free: Any = atoms.copy()
        free.set_constraint()
        free.calc = calculator
        return free.get_potential_energy(), np.asarray(free.get_forces())

    def test_a_symmetry_that_it_finds_is_no_label(self) -> None:
        arguments = {**SETTINGS, "autosym": True, "task": "optimize"}
        arguments["driver"] = {"socket": {"unix": "{name}"}}
        patience = Patience(meet=30.0, label=30.0)
        spec = IpiParentSpec(
            "nwchem nwchem.nwi", "ase.calculators.nwchem:NWChem", arguments, patience=patience
        )
        atoms = molecule("H2O")
        atoms.rotate(33, (1, 2, 3))
        with spec.build() as parent, pytest.raises(ParentError):
            parent.label(atoms)
        assert list(Path("engine").iterdir())
