"""The B2 descriptor: the neighbourhood of an atom as numbers that no rotation changes.

It is the two-correlation term of the atomic cluster expansion (Drautz, Phys. Rev. B 99, 014104
(2019)) in the form that FLARE gives it (Vandermause et al., Nat. Commun. 13, 5183 (2022)), which
the authors of FINETUNA plotted trajectories with. Around atom i, the neighbours j of element s
within the cutoff r_c (periodic images included, the atom's own too) make up a density,

    c[i, s, n, l, m] = Σ_j T_n(r_ij / r_c) (r_ij − r_c)² Y_lm(direction of j from i),

with Chebyshev polynomials T_n of the first kind, n < `n_max`, and real spherical harmonics. Its
power spectrum is

    B2[i, (s1 n1), (s2 n2), l] = Σ_m c[i, s1, n1, l, m] c[i, s2, n2, l, m]

for each pair of channels (s n), each pair once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, pi, sqrt

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.special import eval_chebyt, lpmv

from finetuna_flows.geometry import Array, Mask
from finetuna_flows.pairs import find_pairs


@dataclass(frozen=True)
class B2:
    """Settings of the descriptor, by default those in the authors' plotting code.

    ``finetuna/pca.py`` of github.com/ulissigroup/finetuna at 06cc02e70eea has FLARE's
    ``B2("chebyshev", "quadratic", [0, 5], [], [number of elements, 12, 3])`` with a cutoff of 5 Å.
    Whether Fig. 2c of the paper was made with just this code is not known here.
    """

    n_max: int = 12
    """Number of radial functions."""
    l_max: int = 3
    """Largest angular momentum."""
    cutoff: float = 5.0
    """Å."""

    def __post_init__(self) -> None:
        if self.n_max < 1 or self.l_max < 0 or not self.cutoff > 0:
            raise ValueError(
                f"`n_max`, `l_max` and `cutoff` are {self.n_max}, {self.l_max} and {self.cutoff} "
                "but must be at least 1, at least 0 and positive"
            )

    def of_atoms(self, atoms: Atoms, elements: tuple[int, ...]) -> Array:
        """One row for each atom, in Å⁴, shape (n, p).

        Parameters
        ----------
        atoms
            Any cell; periodic images count where it is periodic.
        elements
            Atomic numbers, in the order of the channels; all that occur must be there.

        Raises
        ------
        ValueError
            If an element of the atoms is not among them.
        """
        density = self._density(atoms, elements)
        first, second = np.triu_indices(density.shape[1])
        degrees = [density[:, :, degree**2 : (degree + 1) ** 2] for degree in range(self.l_max + 1)]
        spectra = [np.einsum("icm,idm->icd", each, each)[:, first, second] for each in degrees]
        return np.concatenate(spectra, axis=1)

    def of_structure(self, atoms: Atoms, centres: Mask, elements: tuple[int, ...]) -> Array:
        """One vector for a geometry, in Å⁴: the mean over the centres of each element.

        The means of the elements stand one after another, zeros where an element has no centre.
        Unlike in the authors' list of all atoms, the order of like atoms does not matter.

        Parameters
        ----------
        atoms, elements
            As in `of_atoms`.
        centres
            Which atoms to describe, shape (n,).
        """
        rows = self.of_atoms(atoms, elements)
        means = []
        for element in elements:
            chosen = rows[centres & (atoms.numbers == element)]
            means.append(chosen.mean(axis=0) if len(chosen) else np.zeros(rows.shape[1]))
        return np.concatenate(means)

    def _density(self, atoms: Atoms, elements: tuple[int, ...]) -> Array:
        """Shape (n, channels, (l_max + 1)²)."""
        pairs = find_pairs(atoms, self.cutoff)
        centre = np.concatenate([pairs.first, pairs.second])
        other = np.concatenate([pairs.second, pairs.first])
        vectors = np.concatenate([pairs.vectors, -pairs.vectors])
        species = _channels(atoms.numbers, elements)[other]
        distances = np.linalg.norm(vectors, axis=1)
        radial = self._radial(distances)
        angular = real_harmonics(vectors / distances[:, None], self.l_max)
        density = np.zeros((len(atoms), len(elements), self.n_max, angular.shape[1]))
        np.add.at(density, (centre, species), radial[:, :, None] * angular[:, None, :])
        return density.reshape(len(atoms), -1, angular.shape[1])

    def _radial(self, distances: Array) -> Array:
        """In Å², shape (m, n_max)."""
        orders = np.arange(self.n_max)
        polynomials = eval_chebyt(orders, distances[:, None] / self.cutoff)
        cut: Array = polynomials * (distances[:, None] - self.cutoff) ** 2
        return cut


def _channels(numbers: NDArray[np.int64], elements: tuple[int, ...]) -> NDArray[np.int64]:
    """Place of each atom's element among `elements`, shape (n,)."""
    places = {element: place for place, element in enumerate(elements)}
    missing = sorted(set(numbers.tolist()) - set(places))
    if missing:
        raise ValueError(f"`elements` is {elements} but must hold {missing[0]} too, which occurs")
    return np.array([places[number] for number in numbers.tolist()], dtype=np.int64)


def real_harmonics(directions: Array, l_max: int) -> Array:
    """Orthonormal real spherical harmonics up to `l_max`, shape (m, (l_max + 1)²).

    Parameters
    ----------
    directions
        Unit vectors, shape (m, 3).
    l_max
        Largest degree; degree l has the columns from l² on, by m from −l to l.
    """
    x, y, z = directions.T
    azimuth = np.arctan2(y, x)
    columns = []
    for degree in range(l_max + 1):
        for order in range(-degree, degree + 1):
            m = abs(order)
            norm = sqrt((2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m))
            turn = np.sin(m * azimuth) if order < 0 else np.cos(m * azimuth)
            columns.append(norm * (sqrt(2) if m else 1.0) * turn * lpmv(m, degree, z))
    return np.stack(columns, axis=1)
