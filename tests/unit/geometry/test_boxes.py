from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from gelan.geometry.boxes import (
    area,
    clip,
    cxcywh_to_xyxy,
    pairwise_iou,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

BOXMATH = Path(__file__).resolve().parents[3] / ".." / "shared" / "golden" / "boxmath.npz"

coordinates = st.floats(-1e5, 1e5, width=32)
any_boxes = arrays_of.arrays(
    np.float32, st.tuples(st.integers(0, 6), st.just(4)), elements=coordinates
)


def boxes_of(*rows: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_conversions_name_both_ends() -> None:
    xyxy = boxes_of((10, 20, 14, 30))
    assert xyxy_to_cxcywh(xyxy).tolist() == [[12, 25, 4, 10]]
    assert xyxy_to_xywh(xyxy).tolist() == [[10, 20, 4, 10]]
    assert cxcywh_to_xyxy(boxes_of((12, 25, 4, 10))).tolist() == xyxy.tolist()
    assert xywh_to_xyxy(boxes_of((10, 20, 4, 10))).tolist() == xyxy.tolist()


@given(
    arrays_of.arrays(
        np.float32,
        st.tuples(st.integers(0, 6), st.just(4)),
        elements=st.integers(-4000, 4000).map(lambda eighths: eighths / 8),
    )
)
def test_there_and_back_is_the_same_box(boxes: NDArray[np.float32]) -> None:
    """Exactly: eighths of a pixel need no rounding in float32."""
    np.testing.assert_array_equal(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)
    np.testing.assert_array_equal(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes)


def test_results_are_float32_and_arguments_stay_as_they_are() -> None:
    boxes = boxes_of((-1, 2, 30, 40))
    before = boxes.copy()
    for result in (
        cxcywh_to_xyxy(boxes),
        xyxy_to_cxcywh(boxes),
        xyxy_to_xywh(boxes),
        xywh_to_xyxy(boxes),
        area(boxes),
        clip(boxes, (20, 20)),
        pairwise_iou(boxes, boxes),
    ):
        assert result.dtype == np.float32
    np.testing.assert_array_equal(boxes, before)


def test_leading_axes_are_kept() -> None:
    assert cxcywh_to_xyxy(np.zeros((2, 3, 4), np.float32)).shape == (2, 3, 4)
    assert area(np.ones((2, 3, 4), np.float32)).shape == (2, 3)
    assert area(np.array([0, 0, 2, 3], np.float32)) == 6


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert area(boxes_of((5, 0, 0, 5), (5, 5, 0, 0), (0, 0, 5, 5))).tolist() == [0, 0, 25]


def test_clipping_keeps_the_part_inside_the_image() -> None:
    boxes = boxes_of((-5, -5, 5, 5), (90, 40, 120, 70), (10, 10, 20, 20))
    assert clip(boxes, (50, 100)).tolist() == [[0, 0, 5, 5], [90, 40, 100, 50], [10, 10, 20, 20]]


def test_a_box_outside_the_image_collapses_onto_its_border() -> None:
    outside = clip(boxes_of((-9, 10, -3, 20), (150, 60, 160, 70)), (50, 100))
    assert outside.tolist() == [[0, 10, 0, 20], [100, 50, 100, 50]]
    assert area(outside).tolist() == [0, 0]


def test_iou_by_hand() -> None:
    """2 x 2 boxes: shifted by 1 they share 2 of 6; a quarter inside shares 1 of 4."""
    others = boxes_of((0, 0, 2, 2), (1, 0, 3, 2), (0, 0, 1, 1), (2, 0, 4, 2), (7, 7, 8, 8))
    third = float(np.float32(1) / np.float32(3))
    assert pairwise_iou(boxes_of((0, 0, 2, 2)), others).tolist() == [[1, third, 0.25, 0, 0]]


def test_zero_area_is_zero_not_nan() -> None:
    point, line, inverted = (3, 3, 3, 3), (0, 3, 9, 3), (5, 5, 1, 1)
    boxes = boxes_of(point, line, inverted, (0, 0, 9, 9))
    ious = pairwise_iou(boxes, boxes)
    assert ious[3, 3] == 1
    ious[3, 3] = 0
    assert not ious.any()


def test_no_boxes_give_an_empty_matrix() -> None:
    assert pairwise_iou(boxes_of(), boxes_of((0, 0, 1, 1))).shape == (0, 1)
    assert pairwise_iou(boxes_of((0, 0, 1, 1)), boxes_of()).shape == (1, 0)


@given(any_boxes, any_boxes)
def test_iou_lies_in_0_to_1_and_is_symmetric(
    boxes: NDArray[np.float32], others: NDArray[np.float32]
) -> None:
    ious = pairwise_iou(boxes, others)
    assert ((ious >= 0) & (ious <= 1)).all()
    np.testing.assert_array_equal(ious, pairwise_iou(others, boxes).T)


@given(any_boxes)
def test_iou_of_a_box_with_itself_is_1_where_it_has_area(boxes: NDArray[np.float32]) -> None:
    has_area = area(boxes) >= np.finfo(np.float32).tiny
    assert (np.diagonal(pairwise_iou(boxes, boxes))[has_area] == 1).all()


def test_iou_agrees_with_recorded_values() -> None:
    if not BOXMATH.exists():
        pytest.skip("../shared/golden/boxmath.npz is absent")
    recorded = np.load(BOXMATH)
    ious = np.diagonal(pairwise_iou(recorded["b1"], recorded["b2"]))
    np.testing.assert_allclose(ious, recorded["IoU"], rtol=0, atol=1e-6)
