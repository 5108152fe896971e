from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.objective.ciou import complete_iou
from tests.unit.objective import dense

coordinates = st.lists(st.floats(0, 100, width=16), min_size=8, max_size=8)


def box(*sides: float) -> torch.Tensor:
    return torch.tensor(sides, dtype=torch.float32)


def test_equal_boxes_have_one() -> None:
    assert complete_iou(box(3, 4, 8, 9), box(3, 4, 8, 9)).item() == pytest.approx(1)


def test_a_tall_box_in_the_middle_of_a_wide_one() -> None:
    """Overlap 4, union 16 + 16 - 4; the centres are the same."""
    v = (2 / math.pi * (math.atan(4) - math.atan(1 / 4))) ** 2
    found = complete_iou(box(0, 3, 8, 5), box(3, 0, 5, 8)).item()
    iou = 4 / (16 + 16 - 4)
    assert found == pytest.approx(iou - v * v / (v - iou + 1), rel=1e-5)


def test_far_boxes_are_worse_than_near_ones() -> None:
    """Squares of side 2 that do not meet: less the squared share of the diagonal."""
    near = complete_iou(box(0, 0, 2, 2), box(3, 0, 5, 2)).item()
    far = complete_iou(box(0, 0, 2, 2), box(8, 0, 10, 2)).item()
    assert near == pytest.approx(-9 / (25 + 4))
    assert far == pytest.approx(-64 / (100 + 4))


def test_boxes_broadcast() -> None:
    three = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [4, 0, 6, 2]]).T
    table = complete_iou(three[:, :, None], three[:, None])
    assert table.shape == (3, 3)
    torch.testing.assert_close(table[1], complete_iou(three, box(1, 0, 3, 2)[:, None]))


def test_two_points_at_one_place_give_a_number() -> None:
    assert math.isfinite(complete_iou(box(5, 5, 5, 5), box(5, 5, 5, 5)).item())


@settings(deadline=None)
@given(coordinates)
def test_it_is_what_the_plain_form_gives_and_symmetric(values: list[float]) -> None:
    sides = torch.tensor(values).view(2, 2, 2).sort(dim=1).values.flatten(1)  # low, then high
    forward = complete_iou(sides[0], sides[1])
    torch.testing.assert_close(forward, dense.complete_iou(sides[0], sides[1]))
    torch.testing.assert_close(forward, complete_iou(sides[1], sides[0]))
    assert -1.5 - 1e-5 < forward <= 1 + 1e-5


def test_the_last_factor_has_no_gradient() -> None:
    """The gradient is that of IoU - d^2 / c^2 - v x a constant."""
    moving = box(0, 0, 4, 2).double().requires_grad_()
    fixed = box(1, 0, 3, 5).double()
    complete_iou(moving, fixed).backward()

    turn = 2 / math.pi * (math.atan(2 / 5) - math.atan(4 / 2))
    iou = 4 / (8 + 10 - 4)
    tradeoff = turn**2 / (turn**2 - iou + 1)
    # By the right side x2: overlap does not change, area by 2, centre by 1/2 each step, c^2 by 2 w.
    by_iou = -4 * 2 / 14**2
    by_distance = -(2 * 0 * 0.5 / 41 - (1.5**2) * 2 * 4 / 41**2)
    slope = 2 * turn * (2 / math.pi) * -(2 / (4**2 + 2**2))
    assert moving.grad is not None
    expected = by_iou + by_distance - tradeoff * slope
    assert moving.grad[2].item() == pytest.approx(expected, rel=1e-5)
