"""A prior and, on top of it, what labels teach."""

from __future__ import annotations

from ase import Atoms

from finetuna_flows.protocols import Correction, Surrogate
from finetuna_flows.records import Prediction


class CompositeSurrogate:
    """The sum of a prior and an ordered stack of named corrections.

    Before the first correction it predicts what the prior predicts.
    """

    def __init__(self, prior: Surrogate) -> None:
        self._prior = prior
        self._corrections: dict[str, Correction] = {}

    @property
    def prior(self) -> Surrogate:
        """The surrogate at the bottom of the stack."""
        return self._prior

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that the prior knows: no correction can stand in for it."""
        return self._prior.elements

    @property
    def corrections(self) -> tuple[str, ...]:
        """Names of the corrections, lowest first."""
        return tuple(self._corrections)

    def correct(self, name: str, correction: Correction) -> None:
        """Put `correction` in the place of the one called `name`, or on top of the stack."""
        self._corrections[name] = correction

    def predict(self, atoms: Atoms) -> Prediction:
        """Prediction of the prior with all corrections, lowest first."""
        return self.apply(atoms, self._prior.predict(atoms))

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        """All corrections, lowest first, on top of what the prior predicts."""
        return self._apply_until(None, atoms, below)

    def predict_below(self, name: str, atoms: Atoms) -> Prediction:
        """Prediction of the prior and of the corrections under the one called `name`.

        Where none has that name yet it would go on top, so that all others are under it.
        """
        return self._apply_until(name, atoms, self._prior.predict(atoms))

    def _apply_until(self, name: str | None, atoms: Atoms, below: Prediction) -> Prediction:
        for own, correction in self._corrections.items():
            if own == name:
                break
            below = correction.apply(atoms, below)
        return below
