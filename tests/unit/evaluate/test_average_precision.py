"""AP from matches, by hand. That it is COCO's is shown beside pycocotools in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.evaluate.average_precision import (
    RECALLS,
    Ranking,
    _reached,
    average_precision,
    interpolated,
    mean_over_classes,
)


def ranking(hits: list[bool], ignored: list[bool] | None = None, *, objects: int = 2) -> Ranking:
    """One image after the other has one detection; the objects are in the first images."""
    return Ranking(
        images=np.arange(len(hits)),
        scores=np.linspace(0.9, 0.1, len(hits)),
        hits=np.array([hits]),
        ignored=np.array([ignored or [False] * len(hits)]),
        object_images=np.arange(objects),
    )


def ap(given: Ranking, weights: list[list[int]]) -> list[float]:
    return [float(value) for value in average_precision(given, np.array(weights, np.int32))[0]]


def test_everything_found_and_nothing_else_is_1() -> None:
    assert ap(ranking([True, True]), [[1], [1]]) == [pytest.approx(1)]


def test_half_found_is_precision_at_the_51_recalls_up_to_a_half() -> None:
    assert ap(ranking([True, False]), [[1], [1]]) == [pytest.approx(51 / 101)]


def test_a_wrong_detection_before_a_right_one_lowers_what_comes_later() -> None:
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert ap(ranking([True, False, True]), [[1], [1], [1]]) == [pytest.approx(expected)]


def test_precision_is_the_best_at_a_recall_or_beyond_it() -> None:
    # Precisions 0, 1/2, 2/3: the second lifts the first.
    assert ap(ranking([False, True, True]), [[1], [1], [1]]) == [pytest.approx(2 / 3)]


def test_ignored_detections_are_neither_right_nor_wrong() -> None:
    hits = [False, True, False, True]
    ignored = [True, False, True, False]
    assert ap(ranking(hits, ignored), [[1], [1], [1], [1]]) == [pytest.approx(1)]


def test_images_count_as_often_as_their_weights_say() -> None:
    given = ranking([True, False, True])
    # The wrong image left out; or taken twice; or both objects' images left out.
    weights = [[1, 1, 0], [0, 2, 5], [1, 1, 0]]
    once_more = ranking([True, False, True])._replace(object_images=np.array([0, 2]))
    assert len(given.object_images) == 2
    result = ap(once_more, weights)
    assert result[:2] == [pytest.approx(1), pytest.approx((51 + 50 * 2 / 4) / 101)]
    assert np.isnan(result[2])


def test_objects_without_detections_are_0_and_no_objects_are_nan() -> None:
    assert ap(ranking([]), [[1], [1]]) == [0.0]
    nothing = average_precision(ranking([False], objects=0), np.ones((1, 1), np.int32))
    assert np.isnan(nothing).all()


def test_recalls_are_counted_as_a_search_would_also_on_the_points_themselves() -> None:
    found = np.arange(401)
    for num_objects in (1, 7, 100, 400):
        recall = found[found <= num_objects] / num_objects
        for near in (recall, np.nextafter(recall, 0), np.nextafter(recall, 1)):
            np.testing.assert_array_equal(
                _reached(near), np.searchsorted(RECALLS, near, side="right")
            )


def test_no_replicas_give_no_values() -> None:
    empty = np.zeros((0, 0), np.int64)
    assert interpolated(empty, empty, np.zeros(0, np.int64)).shape == (0,)


def test_classes_without_objects_are_left_out_of_the_mean() -> None:
    values = np.array([[0.2, np.nan], [np.nan, np.nan], [0.6, np.nan]])
    means = mean_over_classes(values)
    assert means[0] == pytest.approx(0.4)
    assert np.isnan(means[1])
