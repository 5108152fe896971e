from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Int
from numpy.typing import NDArray

from gelan.geometry.boxes import pairwise_iou
from gelan.geometry.nms import non_maximum_suppression

Boxes = Float[np.ndarray, "n 4"]
Scores = Float[np.ndarray, " n"]
Classes = Int[np.ndarray, " n"]
Case = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def greedy(
    boxes: Boxes, scores: Scores, classes: Classes, *, iou: float, limit: int, agnostic: bool
) -> list[int]:
    """The definition, one candidate after the other."""
    kept: list[int] = []
    for candidate in sorted(range(len(scores)), key=lambda position: -scores[position]):
        rivals = [i for i in kept if agnostic or classes[i] == classes[candidate]]
        overlaps = pairwise_iou(boxes[[candidate]], boxes[rivals])
        if not (overlaps > np.float32(iou)).any():
            kept.append(candidate)
        if len(kept) == limit:
            break
    return kept


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few distinct numbers, so that ties, copies, touching and flat boxes are common."""
    count = draw(st.integers(0, 30))
    size = draw(st.sampled_from([1.0, 0.1, 1e4]))
    whole = st.integers(-2, 10).map(lambda number: number * size)
    boxes = draw(st.lists(st.tuples(whole, whole, whole, whole), min_size=count, max_size=count))
    scores = draw(
        st.lists(
            st.sampled_from([0.0, -0.0, 0.1, 0.5, 0.5000001, 1.0, -1.0, -3.0]) | st.floats(0, 1),
            min_size=count,
            max_size=count,
        )
    )
    classes = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    if draw(st.booleans()):
        xyxy[:, 2:] = xyxy[:, :2] + np.abs(xyxy[:, 2:])
    return xyxy, np.array(scores, np.float32), np.array(classes, np.int64)


def crowd(count: int, *, seed: int, clusters: int, num_classes: int) -> Case:
    """Candidates around a few objects; several blocks of them."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 600, (clusters, 2))
    objects = np.concatenate([corners, corners + random.uniform(20, 200, (clusters, 2))], axis=1)
    boxes = objects[random.integers(0, clusters, count)] + random.normal(0, 6, (count, 4))
    scores = random.choice(np.linspace(0, 1, 301), count)
    classes = random.integers(0, num_classes, count)
    return boxes.astype(np.float32), scores.astype(np.float32), classes


@settings(max_examples=200, deadline=None)
@given(
    case=cases(),
    iou=st.sampled_from([0.0, 0.2, 0.25, 1 / 3, 0.5, 0.7, 1.0]),
    limit=st.sampled_from([1, 2, 3, 300]),
    agnostic=st.booleans(),
)
def test_any_case_equals_the_greedy_loop(
    case: Case, iou: float, limit: int, agnostic: bool
) -> None:
    kept = non_maximum_suppression(
        *case, iou_threshold=iou, max_detections=limit, agnostic=agnostic
    )
    assert kept.tolist() == greedy(*case, iou=iou, limit=limit, agnostic=agnostic)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("limit", [7, 256, 5000])
@pytest.mark.parametrize(("clusters", "num_classes"), [(3, 1), (40, 3)])
def test_many_blocks_equal_the_greedy_loop(
    clusters: int, num_classes: int, limit: int, agnostic: bool
) -> None:
    case = crowd(1500, seed=clusters, clusters=clusters, num_classes=num_classes)
    kept = non_maximum_suppression(
        *case, iou_threshold=0.8, max_detections=limit, agnostic=agnostic
    )
    assert kept.tolist() == greedy(*case, iou=0.8, limit=limit, agnostic=agnostic)


def test_more_kept_than_one_block_still_suppress() -> None:
    """600 separate boxes, then a copy of each with a lower score."""
    left = np.arange(600, dtype=np.float32) * 10
    once = np.stack([left, left, left + 5, left + 5], axis=1)
    boxes, classes = np.concatenate([once, once]), np.zeros(1200, np.int64)
    scores = np.linspace(1, 0, 1200, dtype=np.float32)
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.5, max_detections=9999)
    assert kept.tolist() == list(range(600))


def test_a_dropped_box_drops_nobody() -> None:
    """B overlaps A and C by more than 0.5; A and C by less. B goes with A, so C stays."""
    boxes = np.array([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], np.float32)
    scores, classes = np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64)
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.5, max_detections=300)
    assert kept.tolist() == [0, 2]


@pytest.mark.parametrize(("iou_threshold", "expected"), [(0.5, [0, 1]), (0.49, [0])])
def test_an_overlap_equal_to_the_threshold_is_allowed(
    iou_threshold: float, expected: list[int]
) -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], np.float32)  # IoU exactly 0.5
    scores, classes = np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64)
    kept = non_maximum_suppression(
        boxes, scores, classes, iou_threshold=iou_threshold, max_detections=300
    )
    assert kept.tolist() == expected


def test_equal_scores_keep_the_order_given() -> None:
    boxes = np.array([[20, 0, 30, 9], [0, 0, 9, 9], [20, 0, 30, 9], [40, 0, 49, 9]], np.float32)
    scores, classes = np.full(4, 0.5, np.float32), np.zeros(4, np.int64)
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.5, max_detections=300)
    assert kept.tolist() == [0, 1, 3]


def test_scores_below_zero_are_ordered_too() -> None:
    """Logits will do as scores; -0.0 and 0.0 are equal."""
    boxes = np.array([[10 * i, 0, 10 * i + 5, 5] for i in range(5)], np.float32)
    scores = np.array([-0.0, -3.0, 0.0, -1.0, 2.0], np.float32)
    kept = non_maximum_suppression(
        boxes, scores, np.zeros(5, np.int64), iou_threshold=0.5, max_detections=300
    )
    assert kept.tolist() == [4, 0, 2, 3, 1]


def test_far_apart_classes_do_not_meet_where_an_offset_would_make_them() -> None:
    """Class 0 at x = 7680 lies where class 1 at x = 0 would, moved by the usual 7680 pixels."""
    boxes = np.array([[7680, 7680, 7690, 7690], [0, 0, 10, 10]], np.float32)
    scores, classes = np.array([0.9, 0.8], np.float32), np.array([0, 1])
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.5, max_detections=300)
    assert kept.tolist() == [0, 1]


def test_small_boxes_of_a_high_class_keep_their_precision() -> None:
    """IoU 1/3; moved by 79 x 1e5 pixels, float32 (steps of 0.5 there) would make both one box."""
    boxes = np.array([[0, 0, 0.2, 0.2], [0.1, 0, 0.3, 0.2]], np.float32)
    scores, classes = np.array([0.9, 0.8], np.float32), np.array([79, 79])
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.5, max_detections=300)
    assert kept.tolist() == [0, 1]


def test_zero_area_boxes_neither_drop_nor_are_dropped() -> None:
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    scores, classes = np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64)
    kept = non_maximum_suppression(boxes, scores, classes, iou_threshold=0.0, max_detections=300)
    assert kept.tolist() == [0, 1, 2]


def test_exactly_the_wanted_number_comes_back() -> None:
    left = np.arange(600, dtype=np.float32) * 10
    boxes = np.stack([left, left, left + 5, left + 5], axis=1)
    scores, classes = np.linspace(0, 1, 600, dtype=np.float32), np.zeros(600, np.int64)
    for limit in (1, 255, 256, 257, 599, 600, 601):
        kept = non_maximum_suppression(
            boxes, scores, classes, iou_threshold=0.5, max_detections=limit
        )
        assert kept.tolist() == list(range(599, -1, -1))[:limit]


def test_nothing_in_nothing_out() -> None:
    nothing = np.zeros((0, 4), np.float32)
    kept = non_maximum_suppression(
        nothing, nothing[:, 0], np.zeros(0, np.int64), iou_threshold=0.5, max_detections=300
    )
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    good_boxes, good_scores = np.ones((2, 4), np.float32), np.ones(2, np.float32)
    bad_boxes, bad_scores = good_boxes.copy(), good_scores.copy()
    bad_boxes[1, 2] = bad_scores[1] = bad
    for boxes, scores in ((bad_boxes, good_scores), (good_boxes, bad_scores)):
        with pytest.raises(ValueError, match="must be finite numbers"):
            non_maximum_suppression(
                boxes, scores, np.zeros(2, np.int64), iou_threshold=0.5, max_detections=300
            )


def test_arguments_stay_as_they_are() -> None:
    case = crowd(50, seed=0, clusters=3, num_classes=2)
    before = tuple(part.copy() for part in case)
    non_maximum_suppression(*case, iou_threshold=0.5, max_detections=300, agnostic=True)
    for part, copy in zip(case, before, strict=True):
        np.testing.assert_array_equal(part, copy)
