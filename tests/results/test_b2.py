"""The B2 descriptor does not see what does not change the neighbourhood of an atom."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.special import eval_legendre

from finetuna_flows.geometry import Array
from finetuna_flows.results.figures.components import principal_components
from finetuna_flows.results.figures.descriptor import B2, real_harmonics
from finetuna_flows.results.figures.style import NothingToDrawError
from tests.systems import oxygen_on_copper

SMALL = B2(n_max=4, l_max=3, cutoff=4.0)


def elements(atoms: Atoms) -> tuple[int, ...]:
    return tuple(sorted(set(atoms.numbers.tolist())))


def vector(atoms: Atoms, settings: B2 = SMALL) -> Array:
    return settings.of_structure(atoms, np.ones(len(atoms), dtype=bool), elements(atoms))


def by_pairs_of_neighbours(atoms: Atoms, settings: B2) -> Array:
    """Σ_m Y Y = (2l + 1)/4π P_l: neighbours by hand, angles instead of harmonics."""
    kinds = elements(atoms)
    shifts = [
        np.array(shift) @ atoms.cell.array
        for shift in product(*[(-2, -1, 0, 1, 2) if periodic else (0,) for periodic in atoms.pbc])
    ]
    channels = [(kind, n) for kind in kinds for n in range(settings.n_max)]
    rows = []
    for centre in atoms.positions:
        near = [
            (kind, vector, length)
            for kind, position in zip(atoms.numbers, atoms.positions, strict=True)
            for shift in shifts
            if 1e-8 < (length := float(np.linalg.norm(vector := position + shift - centre))) <= 4.0
        ]
        row = []
        for degree in range(settings.l_max + 1):
            for place, (kind_1, n_1) in enumerate(channels):
                for kind_2, n_2 in channels[place:]:
                    row.append(
                        sum(
                            radial(n_1, r_1, settings.cutoff)
                            * radial(n_2, r_2, settings.cutoff)
                            * eval_legendre(degree, v_1 @ v_2 / (r_1 * r_2))
                            for k_1, v_1, r_1 in near
                            if k_1 == kind_1
                            for k_2, v_2, r_2 in near
                            if k_2 == kind_2
                        )
                        * (2 * degree + 1)
                        / (4 * np.pi)
                    )
        rows.append(row)
    return np.array(rows)


def radial(n: int, distance: float, cutoff: float) -> float:
    return float(np.cos(n * np.arccos(distance / cutoff)) * (distance - cutoff) ** 2)


@pytest.mark.parametrize("periodic", [False, True])
def test_it_is_what_sums_over_pairs_of_neighbours_give(periodic: bool) -> None:
    atoms = molecule("CH3OH")
    atoms.set_cell([5.0, 5.5, 6.0])
    atoms.pbc = periodic
    settings = B2(n_max=2, l_max=2, cutoff=4.0)
    naive = by_pairs_of_neighbours(atoms, settings)
    assert settings.of_atoms(atoms, elements(atoms)) == pytest.approx(naive, rel=1e-9, abs=1e-9)


def test_a_rotation_changes_nothing() -> None:
    atoms = oxygen_on_copper()
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    assert np.abs(turned.positions - atoms.positions).max() > 1
    assert vector(turned) == pytest.approx(vector(atoms), rel=1e-9, abs=1e-9)


def test_a_translation_and_wrapping_change_nothing() -> None:
    atoms = oxygen_on_copper()
    moved = atoms.copy()
    moved.translate((1.3, 4.1, 0.2))
    moved.wrap()
    assert np.abs(moved.positions - atoms.positions - (1.3, 4.1, 0.2)).max() > 1  # it did wrap
    assert vector(moved) == pytest.approx(vector(atoms), rel=1e-9, abs=1e-9)


def test_the_order_of_like_atoms_does_not_matter() -> None:
    atoms = oxygen_on_copper()
    order = np.random.default_rng(0).permutation(len(atoms))
    rows, shuffled = (SMALL.of_atoms(each, elements(atoms)) for each in (atoms, atoms[order]))
    assert shuffled == pytest.approx(rows[order], rel=1e-12)
    assert vector(atoms[order]) == pytest.approx(vector(atoms), rel=1e-12)


def test_what_differs_is_told_apart() -> None:
    atoms = oxygen_on_copper()
    pulled = atoms.copy()
    pulled.positions[-1, 2] += 0.1
    assert np.abs(vector(pulled) - vector(atoms)).max() > 1e-2 * np.abs(vector(atoms)).max()


def test_two_atoms_can_be_done_by_hand() -> None:
    distance, settings = 1.5, B2(n_max=2, l_max=1, cutoff=4.0)
    rows = settings.of_atoms(Atoms("H2", [[0, 0, 0], [0, 0, distance]]), (1,))
    first, second = (radial(n, distance, 4.0) for n in (0, 1))
    radials = np.array([first * first, first * second, second * second])
    expected = np.concatenate([radials, 3 * radials]) / (4 * np.pi)
    assert rows == pytest.approx(np.array([expected, expected]))


def test_an_atom_alone_has_no_neighbourhood() -> None:
    assert not vector(Atoms("O")).any()


def test_it_is_smooth_where_an_atom_crosses_the_cutoff() -> None:
    def at(distance: float) -> Array:
        positions = [[0, 0, 0], [1.0, 0, 0], [0, 0, distance]]
        row: Array = SMALL.of_atoms(Atoms("H3", positions), (1,))[0]
        return row

    beyond = at(SMALL.cutoff + 0.1)
    jumps = [np.abs(at(SMALL.cutoff - step) - beyond).max() for step in (1e-2, 5e-3)]
    assert jumps[0] > 0
    assert jumps[0] / jumps[1] == pytest.approx(4.0, rel=0.05)  # so value and slope go to zero


def test_it_has_as_many_numbers_as_flares() -> None:
    """((channels + 1) channels / 2) (l_max + 1), with n_max channels for each element."""
    atoms = oxygen_on_copper()
    assert B2().of_atoms(atoms, (8, 29)).shape == (9, 24 * 25 // 2 * 4)


def test_a_structure_is_the_mean_over_its_centres_element_by_element() -> None:
    atoms = oxygen_on_copper()
    centres = np.array([False] * 4 + [True] * 4 + [False])
    rows = SMALL.of_atoms(atoms, (8, 29))
    oxygen, copper = np.split(SMALL.of_structure(atoms, centres, (8, 29)), 2)
    assert not oxygen.any()
    assert copper == pytest.approx(rows[4:8].mean(axis=0))


def test_harmonics_are_orthonormal() -> None:
    """By a quadrature that is exact for the products of all degrees."""
    heights, weights = np.polynomial.legendre.leggauss(8)
    angles = np.arange(16) * 2 * np.pi / 16
    z, azimuth = (each.ravel() for each in np.meshgrid(heights, angles, indexing="ij"))
    across = np.sqrt(1 - z**2)
    directions = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)
    values = real_harmonics(directions, 3)
    area = np.repeat(weights, 16) * 2 * np.pi / 16
    assert values.T @ (values * area[:, None]) == pytest.approx(np.eye(16), abs=1e-12)


def test_it_refuses_an_element_without_a_channel() -> None:
    with pytest.raises(ValueError, match=r"\(29,\) but must hold 8"):
        SMALL.of_atoms(oxygen_on_copper(), (29,))


@pytest.mark.parametrize("wrong", [{"n_max": 0}, {"l_max": -1}, {"cutoff": 0.0}])
def test_it_refuses_settings_of_nothing(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1, at least 0 and positive"):
        B2(**wrong)


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(12, 30)) @ rng.normal(size=(30, 30))
    found = principal_components(np.hstack([vectors, np.full((12, 3), 7.0)]))  # constants too
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    assert np.abs(found.scores) == pytest.approx(np.abs(left[:, :2] * sizes[:2]), rel=1e-8)
    assert found.explained == pytest.approx(tuple(sizes[:2] ** 2 / np.sum(sizes**2)))
    assert (found.scores[0] < 0).all()


def test_components_of_points_on_a_line_are_the_way_along_it() -> None:
    places = np.array([0.0, 1.0, 5.0, 2.0])
    found = principal_components(places[:, None] * np.array([1.0, -2.0, 3.0]) + 4.0)
    assert found.explained == pytest.approx((1.0, 0.0), abs=1e-12)
    assert found.scores[:, 0] == pytest.approx((places - places.mean()) / places.std() * np.sqrt(3))
    assert found.scores[:, 1] == pytest.approx(np.zeros(4), abs=1e-6)


@pytest.mark.parametrize("vectors", [np.ones((5, 4)), np.eye(2)])
def test_components_of_what_does_not_differ_are_refused(vectors: Array) -> None:
    with pytest.raises(NothingToDrawError, match="fewer than three geometries that differ"):
        principal_components(vectors)
