from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.data.augment.config import AugmentConfig, none
from gelan.data.augment.geometric import (
    Pixels,
    Rectangle,
    moved_boxes,
    moved_points,
    random_flips,
    random_matrix,
    scaling,
    tile_of,
)

WHOLE = Rectangle(0.0, 0.0, 40.0, 20.0)


def test_an_image_shown_as_it_is_fills_its_own_pixels() -> None:
    tile = tile_of(7, (20, 40), matrix=scaling(1.0, 1.0), window=WHOLE, size=64)
    assert tile is not None
    assert (tile.index, tile.seen, tile.span) == (7, WHOLE, (0, 0, 40, 20))
    assert tile.matrix.tolist() == np.eye(3).tolist()


def test_a_tile_is_cut_at_the_output() -> None:
    matrix = scaling(2.0, 2.0, left=-10.0, top=50.0)
    tile = tile_of(0, (20, 40), matrix=matrix, window=WHOLE, size=64)
    assert tile is not None
    assert tile.seen == (5, 0, 37, 7)
    assert tile.span == (0, 50, 64, 64)
    assert tile.matrix.tolist() == matrix.tolist()


def test_a_mirrored_tile_is_told_by_its_matrix() -> None:
    matrix = scaling(-1.0, 1.0, left=64.0)
    tile = tile_of(0, (20, 40), matrix=matrix, window=WHOLE, size=64)
    assert tile is not None
    assert tile.span == (24, 0, 64, 20)
    assert tile.matrix.tolist() == matrix.tolist()


@pytest.mark.parametrize("left", [-40.6, 64.6, 1000.0])
def test_a_tile_outside_the_output_is_none(left: float) -> None:
    matrix = scaling(1.0, 1.0, left=left)
    assert tile_of(0, (20, 40), matrix=matrix, window=WHOLE, size=64) is None


def test_a_window_without_width_is_none() -> None:
    window = Rectangle(3.0, 0.0, 3.0, 20.0)
    assert tile_of(0, (20, 40), matrix=scaling(1.0, 1.0), window=window, size=64) is None


signed_scales = st.floats(0.05, 4).flatmap(lambda scale: st.sampled_from([scale, -scale]))


@given(
    scales=st.tuples(signed_scales, signed_scales),
    offsets=st.tuples(st.floats(-100, 160), st.floats(-100, 160)),
    size_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    cuts=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_whole_pixels_of_the_image_fill_whole_pixels_of_the_output(
    scales: tuple[float, float],
    offsets: tuple[float, float],
    size_hw: tuple[int, int],
    cuts: tuple[float, float, float, float],
) -> None:
    height, width = size_hw
    (x1, x2), (y1, y2) = sorted(cuts[:2]), sorted(cuts[2:])
    window = Rectangle(x1 * width, y1 * height, x2 * width, y2 * height)
    matrix = scaling(*scales, left=offsets[0], top=offsets[1])
    tile = tile_of(0, size_hw, matrix=matrix, window=window, size=64)
    if tile is None:
        return
    assert all(float(edge).is_integer() for edge in tile.seen)
    assert 0 <= tile.seen.x1 < tile.seen.x2 <= width
    assert 0 <= tile.seen.y1 < tile.seen.y2 <= height
    assert 0 <= tile.span.x1 < tile.span.x2 <= 64
    assert 0 <= tile.span.y1 < tile.span.y2 <= 64
    shown = moved_boxes(np.array([tile.seen]), tile.matrix)[0]
    np.testing.assert_allclose(shown, tile.span, atol=1e-6)
    # What is shown at the corners of the span is at most a pixel of the image and half a pixel of
    # the output away from where it was to be.
    span = np.array(tile.span, float).reshape(2, 2)
    wanted, got = (moved_points(span, np.linalg.inv(m)) for m in (matrix, tile.matrix))
    assert (np.abs(wanted - got) <= 1 + 0.5 / np.abs(scales) + 1e-6).all()


def test_a_turned_tile_spans_what_its_window_covers() -> None:
    half = math.sqrt(0.5)
    turn = np.array([[half, -half, 32.0], [half, half, 10.0], [0.0, 0.0, 1.0]])
    square = Rectangle(0.0, 0.0, 20.0, 20.0)
    tile = tile_of(0, (20, 20), matrix=turn, window=square, size=64)
    assert tile is not None
    assert not tile.is_upright
    assert tile.span == Pixels(17, 10, 47, 39)
    assert tile.matrix.tolist() == turn.tolist()
    gone = scaling(1.0, 1.0, left=90.0) @ turn
    assert tile_of(0, (20, 20), matrix=gone, window=square, size=64) is None


def test_random_matrices_follow_the_recipe() -> None:
    config, random = AugmentConfig(scale=0.9, translate=0.1), np.random.default_rng(0)
    matrices = [random_matrix(config, random, canvas=200, size=100) for _ in range(500)]
    scales = np.array([matrix[0, 0] for matrix in matrices])
    assert 0.1 < scales.min() < 0.15
    assert 1.85 < scales.max() < 1.9
    middles = np.array([moved_points(np.array([[100.0, 100.0]]), m)[0] for m in matrices])
    np.testing.assert_allclose(middles.min(axis=0), 40, atol=0.3)
    np.testing.assert_allclose(middles.max(axis=0), 60, atol=0.3)


def test_without_ranges_a_matrix_only_centres() -> None:
    random = np.random.default_rng(0)
    matrix = random_matrix(none(), random, canvas=200, size=100)
    assert matrix.tolist() == scaling(1.0, 1.0, left=-50.0, top=-50.0).tolist()
    assert random_flips(none(), random, size=100).tolist() == np.eye(3).tolist()


def test_turn_shear_and_perspective_leave_the_middle_where_it_is() -> None:
    config = AugmentConfig(translate=0.0, degrees=180.0, shear=30.0, perspective=0.0005)
    random = np.random.default_rng(1)
    for _ in range(20):
        matrix = random_matrix(config, random, canvas=100, size=100)
        np.testing.assert_allclose(moved_points(np.array([[50.0, 50.0]]), matrix), [[50, 50]])


def test_a_turn_keeps_lengths() -> None:
    config = AugmentConfig(scale=0.0, degrees=180.0)
    matrix = random_matrix(config, np.random.default_rng(0), canvas=100, size=100)
    ends = moved_points(np.array([[0.0, 0.0], [3.0, 4.0]]), matrix)
    assert math.dist(*ends.tolist()) == pytest.approx(5)


def test_flips_mirror_the_output() -> None:
    config = AugmentConfig(flip_left_right=1.0, flip_up_down=1.0)
    flips = random_flips(config, np.random.default_rng(0), size=100)
    assert moved_points(np.array([[10.0, 30.0]]), flips).tolist() == [[90, 70]]


def test_each_row_of_points_may_have_its_own_matrix() -> None:
    matrices = np.stack([scaling(1.0, 1.0), scaling(2.0, 2.0, left=5.0)])
    boxes = np.array([[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]])
    assert moved_boxes(boxes, matrices).tolist() == [[1, 1, 2, 2], [7, 2, 9, 4]]
