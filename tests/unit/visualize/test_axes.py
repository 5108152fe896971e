"""Axes hold what they are asked to hold, with few and round ticks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.visualize.axes import Axis, count_axis, log_axis, round_axis, tick_label

numbers = st.floats(-1e9, 1e9).map(lambda value: round(value, 6))


@given(st.lists(numbers, max_size=5), st.booleans(), st.integers(2, 8))
def test_a_round_axis_holds_all_values_between_few_rising_ticks(
    values: list[float], from_zero: bool, num_ticks: int
) -> None:
    axis = round_axis(values, title="", from_zero=from_zero, num_ticks=num_ticks)
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)
    assert (axis.low, axis.high) == (axis.ticks[0], axis.ticks[-1])
    assert all(one < other for one, other in zip(axis.ticks, axis.ticks[1:], strict=False))
    assert 2 <= len(axis.ticks) <= num_ticks + 1
    assert not from_zero or axis.low <= 0 <= axis.high


@pytest.mark.parametrize(
    ("values", "from_zero", "ticks"),
    [
        ([], False, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ([0.0], True, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ([0.013, 0.047], True, (0.0, 0.01, 0.02, 0.03, 0.04, 0.05)),
        ([3.0, 12.1], True, (0.0, 5.0, 10.0, 15.0)),
        ([5.0], False, (4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6)),
        ([float("nan"), float("inf"), 1.0], True, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    ],
)
def test_ticks_are_ones_twos_and_fives(
    values: list[float], from_zero: bool, ticks: tuple[float, ...]
) -> None:
    assert round_axis(values, title="", from_zero=from_zero).ticks == ticks


@given(st.integers(1, 1000), st.integers(0, 100_000))
def test_an_axis_of_epochs_begins_with_the_first_and_ends_with_the_last(
    first: int, more: int
) -> None:
    axis = count_axis(first, first + more, title="epoch")
    assert axis.ticks[0] == first
    assert axis.ticks[-1] <= first + more
    assert len(axis.ticks) <= 9 or first > 100
    assert all(tick == int(tick) for tick in axis.ticks)
    assert axis.low < axis.high


@given(st.lists(st.floats(1e-7, 1e7), min_size=1, max_size=5))
def test_a_logarithmic_axis_holds_all_values(values: list[float]) -> None:
    axis = log_axis(values, title="")
    assert axis.low <= 1.002 * min(values)
    assert axis.high >= 0.998 * max(values)
    assert 2 <= len(axis.ticks) <= 17
    assert axis.low > 0


def test_what_is_not_above_zero_has_no_place_on_a_logarithmic_axis() -> None:
    axis = log_axis([0.0, -1.0, 1.0, 10.0], title="")
    assert axis.ticks == (1.0, 2.0, 5.0, 10.0)
    assert math.isfinite(axis.share(0.0))
    assert axis.share(0.0) < 0


def test_an_axis_may_run_backwards() -> None:
    assert Axis(title="", low=1.0, high=0.0).share(0.25) == 0.75


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-2.5, "-2.5"), (1e-7, "1e-7"), (10000.0, "10k"), (12345.0, "12345")],
)
def test_labels_are_short(value: float, text: str) -> None:
    assert tick_label(value) == text
