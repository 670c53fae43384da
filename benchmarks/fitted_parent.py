"""Potentials of single systems, fitted to labelled relaxations, as ASE calculators.

A fitted parent answers for ONE adsorbate/slab system, with the cell and the fixed atoms of the
relaxations it was fitted to, in place of the code that labelled them. It is there to count parent
calls without that code. Where no labels were near it says so (``off_domain``) and means nothing.

    calculator = FittedParentCalculator("parents/440438.npz")   # or a system's name

This file needs NumPy and ASE alone; `fit_parents.py` puts a copy beside the parents it fits.

The potential, at the coordinates x of the free atoms (f of them, D = 3 f), is a sum of two parts:

- pairs closer than ``pair_cutoff`` with at least one free atom: a quarter of the universal screened
  nuclear repulsion (Ziegler, Biersack, Littmark 1985) plus a row of Gaussians for each pair of
  elements, both times (1 - (r/cutoff)²)², plus ``pair_offset``;
- a Gaussian process on energies and forces, with one row of weights for each of its T centres,
  plus ``gp_offset``.

An ``.npz`` file holds, in eV and Å: ``format``, ``system``, ``numbers`` (n,), ``positions`` (n, 3)
at the start, ``cell`` (3, 3), ``tags`` (n,), ``free`` (f,) indices, ``pair_coefficients`` (pairs of
elements by rising atomic numbers, Gaussians), ``pair_offset``, ``pair_cutoff``, ``kernel``,
``length``, ``gp_offset``, ``frames`` (M, D) and ``frame_energies`` (M,) of all labels,
``frame_sources`` (M,) where they come from, ``train_index`` (T,) those that are centres,
``energy_weights`` (T,), ``force_weights`` (T, D), and ``meta``, a JSON text. All numbers are double
precision: the weights of the centres nearly cancel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

FORMAT = "fitted_parent_1"
OFF_DOMAIN_DISTANCE = 0.20
"""Å; between this and 0.3 Å from all labels a third of the energies were off by over 0.1 eV, where
parents of 12 systems published with FINETUNA were fitted without the frames around a point."""
FIXED_TOLERANCE = 1e-2
"""Å; how far a fixed atom may be from where it was in the fit."""
FIRST_CENTRE, LAST_CENTRE = 0.8, 0.3
"""Å; the Gaussians begin at the one and end the other short of the cutoff."""
SKIN = 1.0
"""Å; pairs are searched again when an atom has moved half as far."""
REPULSION_SHARE = 0.25
COULOMB = 14.399645
"""eV Å; e²/(4πε₀)."""
SCREENING_LENGTH = 0.46850
"""Å."""
SCREENING = np.array([[0.18175, 3.1998], [0.50986, 0.94229], [0.28022, 0.4029], [0.02817, 0.20162]])
"""Amplitude and decay of each exponential."""


@dataclass(frozen=True)
class PairList:
    """Pairs from a free atom to another atom, m of them; two free atoms are listed both ways."""

    atom: Indices
    """Row of the first among the free atoms, shape (m,)."""
    kind: Indices
    """Row of the pair's elements in the coefficients, shape (m,)."""
    charges: Array
    """Atomic numbers, shape (m, 2)."""
    share: Array
    """Of its energy that is counted, shape (m,): half where the pair is listed both ways."""
    vectors: Array
    """Å, from the first to the second, shape (m, 3)."""
    distances: Array
    """Å, shape (m,)."""


def kernel_derivatives(s: Array, kind: str) -> tuple[Array, Array, Array]:
    """Kernel of the squared scaled distances `s`, with its first and second derivative by `s`.

    ``rq``: 1/(1 + s/2), rational quadratic; ``m52``: Matérn with ν = 5/2 (Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 2006, eqs. 4.19 and 4.17).

    Raises
    ------
    ValueError
        If `kind` is none of these.
    """
    if kind == "rq":
        value = 2 / (2 + s)
        return value, -(value**2) / 2, value**3 / 2
    if kind == "m52":
        root = np.sqrt(5 * s)
        decay = np.exp(-root)
        first = -5 / 6 * (1 + root) * decay
        return (1 + root + 5 * s / 3) * decay, first, 25 / 12 * decay
    raise ValueError(f"kernel is {kind!r} but must be rq or m52")


class FittedParent:
    """A potential of one system; its attributes are what the file holds, by the same names."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.system, self.meta = str(data["system"]), json.loads(str(data["meta"]))
        self.numbers: Indices = np.asarray(data["numbers"])
        self.tags: Indices = np.asarray(data["tags"])
        self.positions: Array = np.asarray(data["positions"])
        self.cell: Array = np.asarray(data["cell"])
        self.free: Indices = np.asarray(data["free"])
        self.fixed: Indices = np.setdiff1d(np.arange(len(self.numbers)), self.free)
        self.pair_coefficients: Array = np.asarray(data["pair_coefficients"])
        self.pair_offset, self.pair_cutoff = float(data["pair_offset"]), float(data["pair_cutoff"])
        self.kernel, self.length = str(data["kernel"]), float(data["length"])
        self.gp_offset = float(data["gp_offset"])
        self.frames: Array = np.asarray(data["frames"])
        self.frame_energies: Array = np.asarray(data["frame_energies"])
        self.frame_sources = np.asarray(data["frame_sources"])
        self.train_index: Indices = np.asarray(data["train_index"])
        self.energy_weights: Array = np.asarray(data["energy_weights"])
        self.force_weights: Array = np.asarray(data["force_weights"])
        self._centres = self.frames[self.train_index] / self.length
        self._kinds = element_pairs(self.numbers)
        self._listed: tuple[Array, Indices, Indices, Array] | None = None

    @classmethod
    def read(cls, path: Path) -> FittedParent:
        """Read a file.

        Raises
        ------
        ValueError
            If it holds something else.
        """
        with np.load(path, allow_pickle=False) as held:
            data = {name: held[name] for name in held.files}
        if str(data.get("format")) != FORMAT:
            raise ValueError(f"format of {path} is {data.get('format')} but must be {FORMAT}")
        return cls(data)

    @property
    def start(self) -> Atoms:
        """Where the relaxations began, with tags and fixed atoms."""
        return Atoms(
            self.numbers,
            self.positions,
            tags=self.tags,
            cell=self.cell,
            pbc=True,
            constraint=FixAtoms(self.fixed),
        )

    def coordinates(self, positions: Array) -> Array:
        """Free atoms' coordinates in Å, shape (D,), each in the image nearest to its start.

        Raises
        ------
        ValueError
            If a fixed atom is not where it was in the fit.
        """
        way = ways(positions, self.positions, self.cell)
        moved = float(np.abs(way[self.fixed]).max(initial=0.0))
        if moved > FIXED_TOLERANCE:
            raise ValueError(
                f"a fixed atom of system {self.system} is {moved:.3f} Å from its place in the fit "
                f"but may be {FIXED_TOLERANCE} Å away; keep the atoms fixed that were fixed there"
            )
        x: Array = (self.positions + way)[self.free].ravel()
        return x

    def energy_and_forces(self, positions: Array) -> tuple[float, Array]:
        """Energy in eV, and forces in eV/Å, shape (n, 3), zero on the fixed atoms."""
        x = self.coordinates(positions)
        forces = np.zeros_like(self.positions)
        pair_energy, pair_forces = self._pair_part(x)
        energy, free_forces = self._correction(x)
        forces[self.free] = pair_forces + free_forces
        return pair_energy + energy, forces

    def distance_to_data(self, positions: Array) -> float:
        """Farthest way of an atom to the labelled frame where that is shortest, in Å."""
        ways = (self.frames - self.coordinates(positions)).reshape(len(self.frames), -1, 3)
        return float(np.sqrt((ways**2).sum(axis=2).max(axis=1).min()))

    def pairs(self, x: Array) -> PairList:
        """All pairs within the cutoff at the free coordinates `x`, periodic images included."""
        positions = self.positions.copy()
        positions[self.free] = x.reshape(-1, 3)
        if self._listed is None or np.abs(x - self._listed[0]).max() > SKIN / 2 / 3**0.5:
            self._listed = (x.copy(), *self._search(positions))
        _, row, other, shift = self._listed
        vectors = positions[other] + shift - positions[self.free[row]]
        distances = np.sqrt((vectors**2).sum(axis=1))
        near = distances < self.pair_cutoff
        row, other = row[near], other[near]
        first = self.free[row]
        return PairList(
            atom=row,
            kind=self._kinds[first, other],
            charges=np.stack([self.numbers[first], self.numbers[other]], axis=1).astype(float),
            share=np.where(np.isin(other, self.free), 0.5, 1.0),
            vectors=vectors[near],
            distances=distances[near],
        )

    def _search(self, positions: Array) -> tuple[Indices, Indices, Array]:
        reach = self.pair_cutoff + SKIN
        i, j, images = primitive_neighbor_list(
            "ijS", np.ones(3, bool), self.cell, positions, reach, self_interaction=False
        )
        place = np.full(len(self.numbers), -1)
        place[self.free] = np.arange(len(self.free))
        kept = place[i] >= 0
        return place[i[kept]], j[kept], images[kept] @ self.cell

    def _pair_part(self, x: Array) -> tuple[float, Array]:
        pairs = self.pairs(x)
        value, slope = repulsion(pairs)
        gaussians, slopes = gaussian_basis(
            pairs.distances, self.pair_coefficients.shape[1], self.pair_cutoff
        )
        mixed = self.pair_coefficients[pairs.kind]
        value, slope = value + (gaussians * mixed).sum(axis=1), slope + (slopes * mixed).sum(axis=1)
        value, slope = cut_off(pairs.distances, value, slope, self.pair_cutoff)
        forces = np.zeros((len(self.free), 3))
        np.add.at(forces, pairs.atom, (slope / pairs.distances)[:, None] * pairs.vectors)
        return float(pairs.share @ value) + self.pair_offset, forces

    def _correction(self, x: Array) -> tuple[float, Array]:
        away = x / self.length - self._centres
        value, first, second = kernel_derivatives((away**2).sum(axis=1), self.kernel)
        along = np.einsum("td,td->t", away, self.force_weights)
        energy = value @ self.energy_weights - 2 * first @ along + self.gp_offset
        inward = 4 * second * along - 2 * first * self.energy_weights
        forces = (inward @ away + 2 * first @ self.force_weights) / self.length
        return float(energy), forces.reshape(-1, 3)


def ways(positions: Array, start: Array, cell: Array) -> Array:
    """Way of each atom from `start` in Å, shape (…, n, 3), by less than half of a cell vector."""
    fractions = (positions - start) @ np.linalg.inv(cell)
    way: Array = (fractions - np.round(fractions)) @ cell
    return way


def element_pairs(numbers: Indices) -> Indices:
    """Row of each pair of atoms in the coefficients, shape (n, n)."""
    elements, index = np.unique(numbers, return_inverse=True)
    rows = np.zeros((len(elements), len(elements)), dtype=np.int64)
    upper = np.triu_indices(len(elements))
    rows[upper] = np.arange(len(upper[0]))
    rows = np.maximum(rows, rows.T)
    return rows[index[:, None], index]


def repulsion(pairs: PairList) -> tuple[Array, Array]:
    """Share of the screened nuclear repulsion in eV, and its slope in eV/Å, shape (m,) each."""
    r = pairs.distances
    length = SCREENING_LENGTH / (pairs.charges**0.23).sum(axis=1)
    parts = SCREENING[:, 0] * np.exp(-np.outer(r / length, SCREENING[:, 1]))
    bare = REPULSION_SHARE * COULOMB * pairs.charges.prod(axis=1) / r
    value = bare * parts.sum(axis=1)
    return value, -value / r - bare * (parts @ SCREENING[:, 1]) / length


def gaussian_basis(r: Array, count: int, cutoff: float) -> tuple[Array, Array]:
    """Gaussians on an even grid at the distances `r`, and their slopes, shape (m, count) each."""
    centres = np.linspace(FIRST_CENTRE, cutoff - LAST_CENTRE, count)
    away = (r[:, None] - centres) / (centres[1] - centres[0])
    values = np.exp(-(away**2) / 2)
    return values, -away * values / (centres[1] - centres[0])


def cut_off(r: Array, value: Array, slope: Array, cutoff: float) -> tuple[Array, Array]:
    """Bring values and slopes smoothly to zero at the cutoff."""
    inside = 1 - (r / cutoff) ** 2
    return value * inside**2, slope * inside**2 - 4 * value * inside * r / cutoff**2


def find_file(sid_or_path: str | Path) -> Path:
    """Path of a parent: itself, or a system's name in the folder ``parents`` beside this file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    given = Path(sid_or_path)
    beside = Path(__file__).resolve().parent / "parents"
    name = given.name.removesuffix(".npz").removeprefix("random")
    for path in (given, beside / f"{name}.npz"):
        if path.suffix == ".npz" and path.is_file():
            return path
    raise FileNotFoundError(
        f"parent is {str(sid_or_path)!r} but there is no such file, nor {name}.npz in {beside}"
    )


class FittedParentCalculator(Calculator):
    """A fitted parent as an ASE calculator.

    Results besides ASE's: ``distance_to_data`` (Å), and ``off_domain``, whether that is beyond
    `off_domain_distance`.

    Parameters
    ----------
    sid_or_path
        A system's name, a file, or the parent itself.
    off_domain_distance
        Å.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012 - ASE's way

    def __init__(
        self,
        sid_or_path: str | Path | FittedParent,
        off_domain_distance: float = OFF_DOMAIN_DISTANCE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ASE is untyped
        given = sid_or_path
        self.parent = (
            given if isinstance(given, FittedParent) else FittedParent.read(find_file(given))
        )
        self.off_domain_distance = off_domain_distance

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Answer for a geometry.

        Raises
        ------
        ValueError
            If these are not the atoms, the cell and the fixed atoms of the fit.
        """
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        asked, parent = self.atoms, self.parent
        if asked is None:
            raise ValueError("`atoms` is None but a fitted parent needs a geometry")
        same_atoms = np.array_equal(asked.numbers, parent.numbers)
        if not (same_atoms and np.allclose(asked.cell, parent.cell, atol=1e-4)):
            raise ValueError(
                f"{asked.get_chemical_formula()} in this cell is not system {parent.system}, "
                f"{parent.start.get_chemical_formula()}; a fitted parent knows that one alone"
            )
        energy, forces = parent.energy_and_forces(asked.positions)
        distance = parent.distance_to_data(asked.positions)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "distance_to_data": distance,
            "off_domain": distance > self.off_domain_distance,
        }
