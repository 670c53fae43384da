"""Labels whose forces are, and are not, the gradient of their energies."""

from __future__ import annotations

import gzip
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from finetuna_flows.force_consistency import (
    ENERGY_FLOOR,
    FACTORS,
    FEW,
    Consistency,
    ConsistencyCheck,
    check_consistency,
)
from finetuna_flows.geometry import Array, displacements, free_components
from finetuna_flows.records import Decision, Label, Step

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "data" / "finetuna"

Surface = Callable[[Array], tuple[float, Array]]


def quadratic(x: Array) -> tuple[float, Array]:
    """Atoms on springs of 1 to 9 eV/Å²."""
    springs = np.linspace(1.0, 9.0, x.size).reshape(x.shape)
    return float((springs * x**2).sum() / 2), -springs * x


def descent(surface: Surface, n: int = 12, seed: int = 0, step: float = 0.05) -> Iterator[Step]:
    """Labels on the way down from a random geometry of four atoms."""
    x = np.random.default_rng(seed).normal(0.0, 0.2, (4, 3))
    for index in range(n):
        energy, forces = surface(x)
        yield Step(index, x.copy(), Decision(), label=Label(energy, forces))
        x = x + step * forces


def judge(surface: Surface, **how: float) -> Consistency:
    return check_consistency(descent(surface, **how), np.ones((4, 3), dtype=bool))  # type: ignore[arg-type]  # all are numbers


@given(st.integers(0, 10_000), st.floats(0.01, 0.2))
def test_a_quadratic_surface_never_contradicts_itself(seed: int, step: float) -> None:
    """There the trapezoid is exact."""
    found = judge(quadratic, seed=seed, step=step)
    assert found.contradicting == 0
    assert found.gradient
    assert found.sentence is None


@given(st.integers(0, 10_000), st.floats(0.3, 5.0))
def test_an_anharmonic_surface_stays_within_the_bound(seed: int, depth: float) -> None:
    """Morse wells, whose third derivative is three times as large as that of a metal's bond."""

    def morse(x: Array) -> tuple[float, Array]:
        well = 1 - np.exp(-1.5 * x)
        return float(depth * (well**2).sum()), -3 * depth * well * (1 - well)

    found = judge(morse, seed=seed, step=0.02)
    assert found.gradient
    assert found.contradicting == 0


@pytest.mark.parametrize("factor", [f for f in FACTORS if f > 0.02])
def test_forces_in_another_unit_are_noticed_and_the_factor_fits(factor: float) -> None:
    found = judge(lambda x: (quadratic(x)[0], quadratic(x)[1] / factor), step=0.05 * abs(factor))
    assert not found.gradient
    assert found.cause is not None
    if factor < 0:
        assert "wrong sign" in found.cause
    elif "would fit" in found.cause:
        assert float(found.cause.split()[2]) == pytest.approx(factor, rel=0.2)


def test_a_constant_energy_is_noticed() -> None:
    found = judge(lambda x: (-1.0, quadratic(x)[1]))
    assert not found.gradient
    assert found.hopeless
    assert found.cause == "the energy is the same at every geometry"


def test_a_drifting_energy_is_noticed() -> None:
    calls = iter(range(100))
    found = judge(lambda x: (quadratic(x)[0] + 0.05 * next(calls), quadratic(x)[1]))
    assert not found.gradient
    assert "drift" in (found.sentence or "")


def test_one_wrong_label_is_told_but_does_not_condemn_the_parent() -> None:
    calls = iter(range(100))

    def one_off(x: Array) -> tuple[float, Array]:
        energy, forces = quadratic(x)
        return energy + 0.3 * (next(calls) == 3), forces

    found = judge(one_off)
    assert 1 <= found.contradicting <= FEW
    assert found.gradient
    assert not found.hopeless
    assert found.sentence is not None
    assert "4" in found.sentence  # the label's number, from 1


def test_a_wrong_label_at_the_end_proves_no_minimum() -> None:
    calls = iter(range(100))

    def last_off(x: Array) -> tuple[float, Array]:
        energy, forces = quadratic(x)
        return energy + 0.3 * (next(calls) == 11), forces

    assert not judge(last_off).gradient


def test_differences_below_the_floor_are_not_judged() -> None:
    found = judge(lambda x: (quadratic(x)[0] * 1e-4, -quadratic(x)[1] * 1e-4), step=500.0, n=3)
    assert found.labels == 3
    assert found.judged == 0
    assert found.gradient
    assert ENERGY_FLOOR > 1e-3


def test_the_same_labels_in_two_parts_are_judged_the_same() -> None:
    """As after a resume, where the steps come from the checkpoint."""
    steps = list(descent(lambda x: (quadratic(x)[0], -quadratic(x)[1])))
    check = ConsistencyCheck(np.ones((4, 3), dtype=bool))
    for step in steps[:5]:
        check.add(step)
    assert check.result == check_consistency(steps[:5], np.ones((4, 3), dtype=bool))
    for step in steps[5:]:
        check.add(step)
    assert check.result == check_consistency(steps, np.ones((4, 3), dtype=bool))


def test_noise_is_read_off_the_sum_of_all_forces() -> None:
    rng = np.random.default_rng(0)
    free = np.ones((50, 3), dtype=bool)
    pull = rng.normal(0.0, 0.1, (50, 3))
    steps = [Step(0, np.zeros((50, 3)), Decision(), label=Label(0.0, pull))]
    found = check_consistency(steps, free)
    assert found.noise == pytest.approx(np.linalg.norm(pull.sum(axis=0)) / 50**0.5)
    assert "raise the parent's accuracy" in (found.noisier_than(0.03) or "")
    assert found.noisier_than(1.0) is None


def test_where_fixed_atoms_are_told_no_force_nothing_is_said_of_noise() -> None:
    free = np.ones((4, 3), dtype=bool)
    free[:2] = False
    forces = np.where(free, 1.0, 0.0)
    found = check_consistency(
        [Step(0, np.zeros((4, 3)), Decision(), label=Label(0.0, forces))], free
    )
    assert found.net_force is None
    assert found.noisier_than(0.01) is None


def unwrapped(frames: list[Atoms]) -> Iterator[Step]:
    positions, before = frames[0].positions.copy(), frames[0].positions
    for index, frame in enumerate(frames):
        positions = positions + displacements(before, frame.positions, frame)
        before = frame.positions
        free_energy = frame.info.get("free_energy_vasp")
        forces = frame.get_forces(apply_constraint=False)
        label = Label(frame.get_potential_energy(), forces, free_energy)
        yield Step(index, positions.copy(), Decision(), label=label)


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"no published data in {PUBLISHED}")
def test_no_published_relaxation_gives_a_false_alarm() -> None:
    """97 relaxations of VASP: 6137 labels, 3122 of which can be judged."""
    text = gzip.decompress((PUBLISHED / "frames.extxyz.gz").read_bytes()).decode()
    runs: dict[tuple[str, str], list[Atoms]] = defaultdict(list)
    for frame in ase.io.iread(io.StringIO(text), index=":", format="extxyz"):
        runs[str(frame.info["sid"]), frame.info["method"]].append(frame)
    found = [check_consistency(unwrapped(run), free_components(run[0])) for run in runs.values()]
    assert len(found) == 97
    assert sum(each.judged for each in found) > 3000
    assert [each.sentence for each in found if each.sentence] == []
    assert [each for each in found if each.noisier_than(0.03)] == []
