"""Overlaps and both ways of matching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan.evaluate import matching
from gelan.evaluate.matching import NONE, Matches, Overlaps, match, one_to_one, overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.geometry.boxes import pairwise_iou
from tests.unit.evaluate.made_up import CLASSES, image, random_images

WHOLE = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 5.0)
MOST = (0.0, 0.0, 10.0, 8.0)
ELSEWHERE = (50.0, 50.0, 60.0, 60.0)
LIMIT = 100


def matched(result: ImageResult, *, threshold: float = 0.5, limit: int = LIMIT) -> Matches:
    pooled = pool([result], CLASSES)
    pairs = overlaps(pooled, at_least=0.1)
    return match(pooled, pairs, thresholds=np.array([threshold]), max_detections=limit)


def test_overlaps_are_of_pairs_in_one_image_whatever_their_classes() -> None:
    pooled = pool(
        [image([(WHOLE, 0), (ELSEWHERE, 1)], [(HALF, 2, 0.5)]), image([(HALF, 0)], [])], CLASSES
    )
    pairs = overlaps(pooled, at_least=0.1)
    assert pairs.detections.tolist() == [0]
    assert pairs.objects.tolist() == [0]
    assert pairs.ious.tolist() == [0.5]


def test_overlap_with_a_crowd_is_the_share_of_the_detection_inside() -> None:
    pooled = pool([image([], [(HALF, 0, 0.5)], crowds=[((0, 0, 100, 4), 0)])], CLASSES)
    assert overlaps(pooled, at_least=0.1).ious.tolist() == [0.8]


def test_boxes_without_area_overlap_nothing() -> None:
    flat = (5.0, 5.0, 5.0, 5.0)
    pooled = pool([image([(flat, 0)], [(flat, 0, 0.5), (WHOLE, 0, 0.4)])], CLASSES)
    assert overlaps(pooled, at_least=0.0).ious.tolist() == [0.0, 0.0]


def test_overlaps_are_those_of_the_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    results, classes = random_images(3, 5)
    pooled = pool(results, classes)
    expected = np.concatenate(
        [
            pairwise_iou(result.detections.boxes[order], result.annotations.boxes).ravel()
            for result in results
            for order in [np.argsort(-result.detections.scores, kind="stable")]
        ]
    )
    pairs = overlaps(pooled, at_least=0.0)
    single = ~pooled.objects.crowd[pairs.objects]
    np.testing.assert_allclose(pairs.ious[single], expected[single], atol=1e-5)
    monkeypatch.setattr(matching, "_CHUNK", 7)
    for whole, in_chunks in zip(pairs, overlaps(pooled, at_least=0.0), strict=True):
        np.testing.assert_array_equal(whole, in_chunks)


def test_the_better_score_chooses_first_and_the_other_gets_what_is_left() -> None:
    result = image([(WHOLE, 0)], [(HALF, 0, 0.9), (WHOLE, 0, 0.8)])
    assert matched(result).objects.tolist() == [[0, NONE]]
    assert matched(result, threshold=0.6).objects.tolist() == [[NONE, 0]]


def test_a_detection_takes_the_object_that_it_overlaps_most() -> None:
    result = image([(HALF, 0), (MOST, 0)], [(WHOLE, 0, 0.9)])
    assert matched(result).objects.tolist() == [[1]]


def test_of_equal_overlaps_the_later_object_is_taken() -> None:
    result = image([(HALF, 0), (HALF, 0)], [(HALF, 0, 0.9), (HALF, 0, 0.8), (HALF, 0, 0.7)])
    assert matched(result).objects.tolist() == [[1, 0, NONE]]


def test_an_object_of_another_class_is_not_taken() -> None:
    result = image([(WHOLE, 1)], [(WHOLE, 0, 0.9)])
    assert matched(result).objects.tolist() == [[NONE]]
    assert matched(result).counted.tolist() == [[True]]


def test_a_crowd_takes_any_number_out_of_the_count_but_only_of_its_class() -> None:
    result = image([], [(HALF, 0, 0.9), (MOST, 0, 0.8), (HALF, 1, 0.7)], crowds=[(WHOLE, 0)])
    assert matched(result).counted.tolist() == [[False, False, True]]
    assert matched(result).objects.tolist() == [[NONE, NONE, NONE]]


def test_an_object_is_preferred_to_a_crowd_that_overlaps_more() -> None:
    result = image([(MOST, 0)], [(WHOLE, 0, 0.9), (WHOLE, 0, 0.8)], crowds=[(WHOLE, 0)])
    assert matched(result).objects.tolist() == [[0, NONE]]
    assert matched(result).counted.tolist() == [[True, False]]


def test_detections_beyond_the_limit_of_their_class_do_not_count() -> None:
    result = image([(WHOLE, 0)], [(ELSEWHERE, 0, 0.9), (ELSEWHERE, 1, 0.8), (WHOLE, 0, 0.7)])
    assert matched(result, limit=1).counted.tolist() == [[True, True, False]]
    assert matched(result, limit=1).objects.tolist() == [[NONE, NONE, NONE]]
    assert matched(result, limit=2).objects.tolist() == [[NONE, NONE, 0]]


@pytest.mark.parametrize(("objects", "found"), [(0, 0), (0, 2), (2, 0)])
def test_nothing_there_or_nothing_found_is_matched_to_nothing(objects: int, found: int) -> None:
    result = image([(WHOLE, 0)] * objects, [(WHOLE, 0, 0.5)] * found)
    assert matched(result).objects.tolist() == [[NONE] * found]


def test_pairs_one_to_one_begin_with_the_greatest_overlap() -> None:
    pairs = Overlaps(
        np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1]), np.array([0.8, 0.6, 0.9, 0.7, 0.65])
    )
    chosen = one_to_one(pairs)
    assert chosen.detections.tolist() == [1, 2]
    assert chosen.objects.tolist() == [0, 1]


def greedy(pairs: Overlaps) -> set[tuple[int, int]]:
    """One pair after the other, as the definition says."""
    chosen: list[tuple[int, int]] = []
    for position in np.argsort(-pairs.ious, kind="stable").tolist():
        pair = (int(pairs.detections[position]), int(pairs.objects[position]))
        if all(pair[0] != other[0] and pair[1] != other[1] for other in chosen):
            chosen.append(pair)
    return set(chosen)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), unique=True), st.data())
def test_pairs_one_to_one_are_those_of_the_plain_loop(
    cells: list[tuple[int, int]], data: st.DataObject
) -> None:
    ious = data.draw(
        st.lists(st.integers(1, 5), min_size=len(cells), max_size=len(cells)), label="tenths"
    )
    pairs = Overlaps(column(cells, 0), column(cells, 1), np.array(ious, np.float64) / 10)
    chosen = one_to_one(pairs)
    assert set(zip(chosen.detections.tolist(), chosen.objects.tolist(), strict=True)) == greedy(
        pairs
    )


def column(cells: list[tuple[int, int]], which: int) -> NDArray[np.int64]:
    return np.array([cell[which] for cell in cells], np.int64)
