"""The screened repulsion of nuclei, which keeps atoms from falling into each other."""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from torch import Tensor

COULOMB = 14.399645
"""eV Å; e²/(4πε₀), CODATA."""

_SCREENING = 0.46850  # Å; 0.8853 Bohr radii
_AMPLITUDES = torch.tensor([0.18175, 0.50986, 0.28022, 0.02817], dtype=torch.float64)
_DECAYS = torch.tensor([3.19980, 0.94229, 0.40290, 0.20162], dtype=torch.float64)
_RADII = torch.tensor(covalent_radii, dtype=torch.float64)


def zbl_energy(distances: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Universal screened Coulomb repulsion of pairs, in eV, shape (m,).

    Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Solids (Pergamon 1985), with
    the digits of LAMMPS' ``pair_style zbl``. Left alone it holds about 1 eV at the length of
    a metal's bond, so it is brought smoothly to zero at the sum of the covalent radii.

    Parameters
    ----------
    distances
        Å, shape (m,).
    first, second
        Atomic numbers of the two atoms of each pair, shape (m,).
    """
    charges = first.double(), second.double()
    scaled = distances * (charges[0] ** 0.23 + charges[1] ** 0.23) / _SCREENING
    phi = (_AMPLITUDES * torch.exp(-_DECAYS * scaled[:, None])).sum(dim=1)
    reach = _RADII[first] + _RADII[second]
    bare = COULOMB * charges[0] * charges[1] / distances
    return bare * phi * envelope(distances / reach)


def envelope(x: Tensor) -> Tensor:
    """One at 0, and zero from 1 on with its first and second derivative.

    Gasteiger, Groß, Günnemann, ICLR 2020 (arXiv:2003.03123), eq. 8, with p = 6.
    """
    inside = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    return torch.where(x < 1, inside, 0.0)
