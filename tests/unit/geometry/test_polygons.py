from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.geometry.polygons import polygon_area


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ([[0, 0], [4, 0], [0, 3]], 6.0),
        ([[1, 1], [3, 1], [3, 4], [1, 4]], 6.0),
        ([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], 10.0),  # 16 less a notch of 4 x 3 / 2
        ([[0, 0], [2, 2], [2, 0], [0, 2]], 0.0),  # a bow tie: its halves go round opposite ways
        ([[0, 0], [1, 1], [5, 5]], 0.0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_areas_by_hand_whichever_way_round(
    corners: list[list[float]],
    expected: float,
    dtype: type[np.floating[object]],  # type: ignore[type-var]
) -> None:
    points = np.array(corners, dtype)
    assert polygon_area(points) == polygon_area(points[::-1]) == expected


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_corners_enclose_nothing(count: int) -> None:
    assert polygon_area(np.ones((count, 2))) == 0.0


def test_a_small_polygon_far_away_keeps_its_area() -> None:
    triangle = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]) + 2.0**26
    assert polygon_area(triangle) == 0.125


@given(
    width=st.floats(0.1, 100),
    height=st.floats(0.1, 100),
    x=st.floats(-1e3, 1e3),
    turn=st.floats(0, 6),
)
def test_moving_and_turning_keep_the_area(
    width: float, height: float, x: float, turn: float
) -> None:
    sides = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    cosine, sine = math.cos(turn), math.sin(turn)
    moved = sides @ np.array([[cosine, sine], [-sine, cosine]]) + [x, -x]
    assert polygon_area(moved) == pytest.approx(width * height, rel=1e-9)
