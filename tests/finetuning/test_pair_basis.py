"""The linear pair potential on real neighbour lists."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixCartesian

from finetuna_flows.finetuning.pair_basis import PairBasis
from finetuna_flows.geometry import Array, Mask, free_components, moved
from tests.systems import oxygen_on_copper


def basis(atoms: Atoms) -> PairBasis:
    return PairBasis(atoms, cutoff=4.5, functions=6)


@pytest.fixture
def atoms() -> Atoms:
    made = oxygen_on_copper()
    made.rattle(0.05, seed=4)
    made.set_constraint([*made.constraints, FixCartesian(len(made) - 1, mask=(True, False, False))])
    return made


def test_forces_are_minus_the_slopes_of_the_values(atoms: Atoms) -> None:
    terms, h = basis(atoms).terms(atoms), 1e-4
    for row, place in zip(terms[1:], np.argwhere(free_components(atoms)), strict=True):
        step = np.zeros_like(atoms.positions)
        step[tuple(place)] = h
        up, down = (
            basis(atoms).terms(moved(atoms, atoms.positions + s * step))[0] for s in (1, -1)
        )
        assert row == pytest.approx((down - up) / (2 * h), abs=1e-6)


def brute_force(atoms: Atoms, cutoff: float, functions: int) -> dict[tuple[int, int], Array]:
    """Sums over all pairs of atoms with a free component in 5 x 5 images, one at a time."""
    moving: Mask = np.asarray(free_components(atoms).any(axis=1))
    centres = 0.7 + (cutoff - 0.7) / functions * np.arange(functions)
    totals: dict[tuple[int, int], Array] = {}
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            for a in range(-2, 3):
                for b in range(-2, 3):
                    shift = a * atoms.cell[0] + b * atoms.cell[1]
                    r = float(np.linalg.norm(atoms.positions[j] + shift - atoms.positions[i]))
                    if not (moving[i] or moving[j]) or not 0 < r < cutoff:
                        continue
                    one, other = sorted((int(atoms.numbers[i]), int(atoms.numbers[j])))
                    bumps = np.exp(-0.5 * ((r - centres) / (centres[1] - centres[0])) ** 2)
                    half = 0.25 * (1 + np.cos(np.pi * r / cutoff)) * bumps  # every pair twice
                    totals[one, other] = totals.get((one, other), 0.0) + half
    return totals


def test_values_are_the_sums_over_pairs(atoms: Atoms) -> None:
    found = basis(atoms).terms(atoms)[0].reshape(-1, 6)
    totals = brute_force(atoms, 4.5, 6)
    kinds = [(8, 8), (8, 29), (29, 29)]
    assert len(found) == len(kinds)
    for row, kind in zip(found, kinds, strict=True):
        assert row == pytest.approx(totals.get(kind, np.zeros(6)), abs=1e-9)


def test_wrapping_changes_nothing(atoms: Atoms) -> None:
    wrapped = atoms.copy()
    wrapped.positions[3] += atoms.cell[0]
    assert basis(atoms).terms(wrapped) == pytest.approx(basis(atoms).terms(atoms), abs=1e-9)


def test_pairs_of_fixed_atoms_have_no_terms() -> None:
    slab = oxygen_on_copper()
    gold = slab.copy()
    fixed = ~free_components(slab).any(axis=1)
    gold.symbols[np.flatnonzero(fixed)[0]] = "Au"
    kinds = basis(gold).terms(gold).shape[1] // 6
    assert kinds == 5  # O-O, O-Cu, O-Au, Cu-Cu, Cu-Au, but not Au-Au
