"""Several surrogates as one that knows where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import torch
from ase import Atoms

from finetuna_flows.geometry import Array
from finetuna_flows.protocols import Surrogate, TrainableSurrogate
from finetuna_flows.records import Prediction
from finetuna_flows.surrogates.backbone import predict_each
from finetuna_flows.surrogates.composite import CompositeSurrogate


class EnsembleSurrogate:
    """The mean of several surrogates, with their sample standard deviation as uncertainty.

    The spread of an ensemble is a query criterion in Musielewicz, Wang, Tian, Ulissi, Mach.
    Learn.: Sci. Technol. 3, 03LT01 (2022). Each member stands in a composite of its own, so that
    each can be taught by itself.

    Members count their energies from zeros of their own, so the spread of their energies means
    nothing before `align` has named a geometry where they are to agree; until then it is None.
    Members that say the very same are copies that have not learned yet: then no uncertainty is
    known.

    Members that are one network with heads of their own pass a geometry through the rest of it
    once; only the pass backwards, for the forces, is each one's own. Four heads of CHGNet take
    half of the time that way (``benchmarks/ensemble_cost.py``).

    Parameters
    ----------
    members
        At least two; the ensemble alone may change them.
    """

    def __init__(self, members: Sequence[Surrogate]) -> None:
        if len(members) < 2:
            raise ValueError(f"got {len(members)} member(s) but a spread needs at least 2")
        self._members = tuple(CompositeSurrogate(member) for member in members)
        self._constants: Array | None = None

    @property
    def members(self) -> tuple[CompositeSurrogate, ...]:
        """The members, each with the corrections that it has learned."""
        return self._members

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that all members know; None where none of them says."""
        said = [each.elements for each in self._members if each.elements is not None]
        return frozenset.intersection(*said) if said else None

    def align(self, atoms: Atoms) -> None:
        """Count the spread of the energies from zero at this geometry, as the members are now."""
        energies = np.array([each.energy for each in self._ask(atoms)])
        self._constants = energies - energies.mean()

    def predict(self, atoms: Atoms) -> Prediction:
        """Mean and spread at one geometry.

        Raises
        ------
        SurrogateError
            If one of the members refuses it.
        """
        said = self._ask(atoms)
        energies = np.array([each.energy for each in said])
        forces = np.array([each.forces for each in said])  # (members, n, 3)
        mean = Prediction(float(energies.mean()), forces.mean(axis=0))
        if (energies == energies[0]).all() and (forces == forces[0]).all():
            return mean
        energy_std = None
        if self._constants is not None:
            energy_std = float(np.std(energies - self._constants, ddof=1))
        return Prediction(mean.energy, mean.forces, energy_std, np.std(forces, axis=0, ddof=1))

    def _ask(self, atoms: Atoms) -> list[Prediction]:
        """What each member says, with its own corrections."""
        below = predict_each([member.prior for member in self._members], atoms)
        return [
            member.apply(atoms, each) for member, each in zip(self._members, below, strict=True)
        ]


def perturb_head(surrogate: Surrogate, *, scale: float, seed: int) -> None:
    """Add noise to the weights of a surrogate's output head, in place.

    Parameters
    ----------
    surrogate
        Whose head is meant.
    scale
        Standard deviation of the noise in units of each weight tensor's root mean square.
    seed
        Of the noise.

    Raises
    ------
    ValueError
        If the surrogate has no weights.
    """
    if not isinstance(surrogate, TrainableSurrogate):
        raise ValueError(
            f"a {type(surrogate).__name__} has no head to perturb; use a trainable surrogate, or "
            "make an EnsembleSpec of different ones"
        )
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in surrogate.named_parameters():
            if any(fnmatchcase(name, pattern) for pattern in surrogate.head):
                noise = torch.as_tensor(rng.normal(size=weight.shape)).to(weight)
                weight.add_(scale * weight.square().mean().sqrt() * noise)
