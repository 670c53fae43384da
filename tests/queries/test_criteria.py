"""Every criterion keeps the contract, asks where it should and refuses what makes no sense."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetuna_flows.errors import SurrogateError
from finetuna_flows.geometry import free_components
from finetuna_flows.history import History
from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.queries import (
    AllOf,
    AnyOf,
    Displacement,
    DynamicTolerance,
    EveryK,
    FirstN,
    RelaxedOnly,
    StaticTolerance,
)
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Label, Prediction, Step
from tests.contracts.criterion import CriterionContract, Situation, situation, slab


class TestFirstN(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return FirstN(3)


class TestRelaxedOnly(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return RelaxedOnly()


class TestEveryK(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return EveryK(10)


class TestStaticTolerance(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return StaticTolerance(0.05)


class TestDynamicTolerance(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return DynamicTolerance(0.3)


class TestDisplacement(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return Displacement(0.4)


class TestAnyOf(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return AnyOf((FirstN(), RelaxedOnly(), AllOf((EveryK(3), Displacement(0.1)))))


class TestAllOf(CriterionContract):
    def criterion(self) -> QueryCriterion:
        return AllOf((EveryK(5), StaticTolerance(0.01)))


def run(criterion: QueryCriterion, n: int) -> list[int]:
    """Steps at which a run of n geometries that do not move asks, and is answered."""
    past = History(slab())
    forces = np.ones((6, 3))
    for index in range(n):
        decision = criterion.decide(past, past.start, Prediction(0.0, forces))
        label = Label(0.0, forces) if decision.query else None
        past.append(Step(index, past.start.positions, decision, Prediction(0.0, forces), label))
    return [step.index for step in past if step.label]


@given(n=st.integers(1, 8))
def test_first_n_asks_at_the_first_n_geometries(n: int) -> None:
    assert run(FirstN(n), 12) == list(range(n))


@given(k=st.integers(1, 8))
def test_every_k_asks_at_every_kth_geometry(k: int) -> None:
    assert run(EveryK(k), 20) == list(range(20))[k - 1 :: k]


@given(k=st.integers(1, 8))
def test_every_k_counts_from_labels_asked_for_by_others(k: int) -> None:
    assert run(AnyOf((FirstN(), EveryK(k))), 20) == list(range(0, 20, k))


def predicted(forces: float, spread: float | None = None, *, atom: int = 5) -> Situation:
    """One atom feels a force, and all are spread alike."""
    past, atoms, _ = situation(steps=2, labelled=(0,))
    field = np.zeros((6, 3))
    field[atom] = [0.0, 0.6 * forces, 0.8 * forces]
    std = None if spread is None else np.full((6, 3), spread / np.sqrt(3))
    return Situation(past, atoms, Prediction(0.0, field, None, std))


@pytest.mark.parametrize(("force", "asks"), [(0.0299, True), (0.0301, False)])
def test_relaxed_only_asks_below_the_threshold(force: float, asks: bool) -> None:
    expected = Decision((QueryReason.RELAXED,) if asks else ())
    assert RelaxedOnly(0.03).decide(*predicted(force)) == expected


def test_relaxed_only_does_not_hear_fixed_atoms() -> None:
    assert RelaxedOnly(0.03).decide(*predicted(5.0, atom=0)).query


@pytest.mark.parametrize(("spread", "asks"), [(0.049, False), (0.051, True)])
def test_static_tolerance_is_an_absolute_spread(spread: float, asks: bool) -> None:
    for force in (0.01, 10.0):
        assert StaticTolerance(0.05).decide(*predicted(force, spread)).query is asks


@pytest.mark.parametrize(("spread", "asks"), [(0.29, False), (0.31, True)])
def test_dynamic_tolerance_is_a_fraction_of_the_largest_force(spread: float, asks: bool) -> None:
    for scale in (0.01, 10.0):
        decision = DynamicTolerance(0.3).decide(*predicted(scale, scale * spread))
        assert decision == Decision((QueryReason.UNCERTAIN,) if asks else ())


@pytest.mark.parametrize("criterion", [StaticTolerance(0.05), DynamicTolerance(0.3)])
def test_a_spread_on_fixed_atoms_does_not_count(criterion: QueryCriterion) -> None:
    past, atoms, prediction = predicted(1.0, 9.0)
    std = np.where(free_components(atoms), 0.0, 9.0)
    certain = Prediction(0.0, prediction.forces, None, std)
    assert not criterion.decide(past, atoms, certain).query


@pytest.mark.parametrize("criterion", [StaticTolerance(0.05), DynamicTolerance(0.3)])
def test_unknown_uncertainty_asks_before_the_first_label(criterion: QueryCriterion) -> None:
    assert criterion.decide(*situation(steps=3, spread=None)).query


@pytest.mark.parametrize("criterion", [StaticTolerance(0.05), DynamicTolerance(0.3)])
def test_unknown_uncertainty_is_refused_after_a_label(criterion: QueryCriterion) -> None:
    with pytest.raises(SurrogateError, match=r"no uncertainty .* after 2 label.*ResidualGPSpec"):
        criterion.decide(*situation(steps=3, labelled=(0, 1), spread=None))


def walked(distance: float, *, labelled: bool) -> Situation:
    """The last atom has gone some way from the start, along x; a label came halfway."""
    past = History(slab())
    halfway, there = past.start.positions.copy(), past.start.positions.copy()
    halfway[-1, 0] += distance / 2
    there[-1, 0] += distance
    forces = np.ones((6, 3))
    if labelled:
        past.append(Step(0, halfway, Decision(), None, Label(0.0, forces)))
    atoms = past.start.copy()
    atoms.set_positions(there, apply_constraint=False)
    return Situation(past, atoms, Prediction(0.0, forces))


def test_displacement_counts_from_the_start_before_any_label() -> None:
    assert Displacement(0.5).decide(*walked(0.51, labelled=False)).query
    assert not Displacement(0.5).decide(*walked(0.49, labelled=False)).query


def test_displacement_counts_from_the_last_label() -> None:
    assert not Displacement(0.5).decide(*walked(0.99, labelled=True)).query
    assert Displacement(0.5).decide(*walked(1.01, labelled=True)).query


def test_longest_steps_of_an_optimizer_add_up_to_the_distance() -> None:
    assert 0.1 + 0.2 != 0.3
    for way in (0.1 + 0.2, 0.3, 0.9 - 0.6):
        assert Displacement(0.3).decide(*walked(way, labelled=False)).query


def test_displacement_takes_the_minimum_image() -> None:
    past, atoms, prediction = walked(0.0, labelled=False)
    atoms.positions[-1] += atoms.cell[0] - atoms.cell[1]
    assert not Displacement(0.5).decide(past, atoms, prediction).query


def test_any_of_keeps_every_reason_once_and_in_order() -> None:
    criterion = AnyOf((FirstN(2), EveryK(1), FirstN(1), Displacement(99.0)))
    decision = criterion.decide(*situation())
    assert decision.reasons == (QueryReason.FIRST, QueryReason.EVERY_K)


def test_all_of_gives_the_reasons_of_all_or_none() -> None:
    given = situation()
    both = AllOf((FirstN(), EveryK(1))).decide(*given)
    assert both.reasons == (QueryReason.FIRST, QueryReason.EVERY_K)
    assert AllOf((FirstN(), EveryK(99))).decide(*given) == Decision()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FirstN(0), "`n` is 0 but must be at least 1"),
        (lambda: EveryK(0), "`k` is 0 but must be at least 1"),
        (lambda: RelaxedOnly(-0.1), "`fmax` is -0.1 but must be a positive number"),
        (lambda: RelaxedOnly(float("nan")), "`fmax` is nan but must be a positive number"),
        (lambda: StaticTolerance(0.0), "`force_std` is 0.0 but must be a positive number"),
        (lambda: DynamicTolerance(float("inf")), "`fraction` is inf but must be a positive number"),
        (lambda: Displacement(0.0), "`distance` is 0.0 but must be a positive number"),
        (lambda: AnyOf(()), "`criteria` is empty"),
        (lambda: AllOf(()), "`criteria` is empty"),
    ],
)
def test_a_criterion_refuses_nonsense(build: type, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


def test_combinations_refuse_what_does_not_decide() -> None:
    with pytest.raises(TypeError, match=r"'relaxed' but each must be a query criterion"):
        AnyOf(("relaxed",))  # type: ignore[arg-type]  # what is refused
