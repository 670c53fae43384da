import numpy as np
import pytest

from finetuna_flows.ties import (
    first_highest,
    first_lowest,
    nearest_whole,
    on_grid,
    order_by,
    ranks,
    within_cell,
)

LAST_BIT = 4e-16


def test_first_of_the_lowest_and_the_highest() -> None:
    values = [2.0, 1.0 + LAST_BIT, 1.0, 3.0, 3.0 + 2 * LAST_BIT]
    assert first_lowest(values, 1e-9) == 1
    assert first_highest(values, 1e-9) == 3
    assert first_lowest([2.0, 1.1, 1.0], 1e-9) == 2


def test_equal_values_share_a_rank() -> None:
    assert ranks([1.0 + LAST_BIT, 5.0, 1.0, -2.0], 1e-9).tolist() == [1, 2, 1, 0]
    assert ranks([], 1e-9).tolist() == []


def test_order_goes_to_the_next_column_where_values_are_equal() -> None:
    first, second = [1.0 + LAST_BIT, 1.0, 0.5], [3.0, 2.0, 9.0]
    assert order_by([first, second], 1e-9).tolist() == [2, 1, 0]
    assert order_by([first], 1e-9).tolist() == [2, 0, 1]


@pytest.mark.parametrize("decimals", [4, 8])
def test_exact_halves_of_a_grid_round_alike_whatever_their_last_bits_are(decimals: int) -> None:
    step = 10.0**-decimals
    halves = (np.arange(-500, 500) + 0.5) * step
    rounded = {tuple(on_grid(halves + noise, decimals)) for noise in (-1e-13, 0.0, 1e-13)}
    assert len(rounded) == 1
    assert np.unique(np.diff(on_grid(halves, decimals)).round(9)) == pytest.approx(step)


def test_grid_is_where_rounding_puts_what_lies_between_halves() -> None:
    values = np.random.default_rng(0).uniform(-9, 9, 2000)
    away = np.abs(values * 1e4 % 1 - 0.5) > 0.01
    assert (on_grid(values, 4)[away] == np.round(values[away], 4)).all()
    assert not np.signbit(on_grid([-1e-9], 4)).any()


def test_what_is_on_a_grid_stays() -> None:
    once = on_grid(np.random.default_rng(1).uniform(-30, 30, 2000), 8)
    assert (on_grid(once, 8) == once).all()


def test_fractions_just_below_a_whole_number_are_in_the_next_cell() -> None:
    assert within_cell([-LAST_BIT, 1 - 1e-9, 0.25, -0.75, 2.5], 1e-6) == pytest.approx(
        [0.0, 0.0, 0.25, 0.25, 0.5], abs=1e-8
    )


@pytest.mark.parametrize("off", [-1e-14, 0.0, 1e-14])
def test_whole_number_next_to_a_half_does_not_hang_on_the_last_bit(off: float) -> None:
    halves = [0.5, 1.5, 2.5, 12.5, 13.5]
    assert [nearest_whole(each + off) for each in halves] == [round(each) for each in halves]
    assert [nearest_whole(each) for each in (2.499, 2.501, 7.0 + off)] == [2, 3, 7]
