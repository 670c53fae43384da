"""Any ASE calculator as a prior that learns nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms

from finetuna_flows.calculators import known_elements, load_calculator
from finetuna_flows.errors import SurrogateError
from finetuna_flows.records import Prediction


class AseSurrogate:
    """A fixed prior: what an ASE calculator says, with constraints left out of the forces.

    Parameters
    ----------
    target
        ``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``, what makes the calculator.
    arguments
        Passed to it by name.
    """

    def __init__(self, target: str, arguments: Mapping[str, object]) -> None:
        self._target = target
        self._calculator = load_calculator(target, arguments)

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that the calculator states; None where it states none."""
        return known_elements(self._calculator)

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry.

        Raises
        ------
        SurrogateError
            If the calculator refuses the geometry, or answers with what is not finite.
        """
        bare = atoms.copy()
        bare.set_constraint()
        bare.calc = self._calculator
        try:
            energy, forces = bare.get_potential_energy(), bare.get_forces()
        except Exception as exc:  # the exceptions of the engines share no class
            raise SurrogateError(
                f"{self._target} cannot predict {atoms.symbols}: {type(exc).__name__}: {exc}"
            ) from exc
        return Prediction(float(energy), np.array(forces, dtype=np.float64))
