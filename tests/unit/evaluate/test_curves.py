"""Curves over confidence, and the confidence that is best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.evaluate.average_precision import Ranking
from gelan.evaluate.curves import CONFIDENCES, Scored, best_point, confidence_curve


def scored(found: list[tuple[float, bool]], num_objects: int) -> Scored:
    scores = np.array([score for score, _ in found], np.float32).astype(np.float64)
    return Scored(scores, np.array([hit for _, hit in found], bool), num_objects)


def test_the_best_confidence_has_the_greatest_f1() -> None:
    point = best_point(scored([(0.9, True), (0.7, True), (0.5, False), (0.4, False)], 3))
    assert point is not None
    assert (point.precision, point.recall, point.f1) == pytest.approx((1, 2 / 3, 0.8))
    assert 0.5 <= point.confidence < 0.7


def test_detections_of_one_score_are_kept_or_dropped_together() -> None:
    point = best_point(scored([(0.9, True), (0.5, True), (0.5, False), (0.5, False)], 2))
    assert point is not None
    assert (point.precision, point.recall) == (1, 0.5)
    assert 0.5 <= point.confidence < 0.9


def test_a_floor_asks_for_precision_first_and_then_for_recall() -> None:
    found = scored([(0.9, True), (0.8, False), (0.7, True), (0.6, True), (0.5, False)], 4)
    free, careful = best_point(found), best_point(found, precision_floor=0.8)
    assert free is not None
    assert careful is not None
    assert (free.precision, free.recall) == (0.75, 0.75)
    assert (careful.precision, careful.recall) == (1, 0.25)
    assert best_point(scored([(0.9, False), (0.8, True)], 1), precision_floor=0.8) is None


def test_without_a_right_detection_there_is_no_best_confidence() -> None:
    assert best_point(scored([(0.9, False)], 2)) is None
    assert best_point(scored([], 2)) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(2**-10, 1, width=32), st.booleans()), min_size=1, max_size=12))
def test_the_best_confidence_gives_its_figures_when_it_is_used(
    pairs: list[tuple[float, bool]],
) -> None:
    found = scored(sorted(pairs, key=lambda pair: -pair[0]), len(pairs))
    point = best_point(found)
    if point is None:
        assert not found.hits.any()
        return
    kept = found.scores.astype(np.float32) > np.float32(point.confidence)
    right = int(found.hits[kept].sum())
    assert point.precision == right / kept.sum()
    assert point.recall == right / found.num_objects
    every_f1 = [
        2 * found.hits[found.scores >= score].sum() / ((found.scores >= score).sum() + len(pairs))
        for score in found.scores
    ]
    assert point.f1 == pytest.approx(max(every_f1))


def test_a_curve_keeps_scores_strictly_above_each_confidence() -> None:
    curve = confidence_curve(scored([(0.5, True), (0.3, False)], 2))
    at = {confidence: number for number, confidence in enumerate(CONFIDENCES)}
    assert len(curve.recall) == 101
    assert (curve.precision[at[0.29]], curve.recall[at[0.29]], curve.f1[at[0.29]]) == (0.5,) * 3
    assert (curve.precision[at[0.3]], curve.recall[at[0.3]]) == (1.0, 0.5)
    assert curve.f1[at[0.49]] == 0.6667
    assert (curve.precision[at[0.5]], curve.recall[at[0.5]], curve.f1[at[0.5]]) == (None, 0, 0)


def test_classes_are_put_together_by_score_without_what_is_ignored() -> None:
    cat = Ranking(
        images=np.array([0, 1, 2]),
        scores=np.array([0.9, 0.6, 0.1]),
        hits=np.array([[True, False, False]]),
        ignored=np.array([[False, True, False]]),
        object_images=np.array([0, 0]),
    )
    dog = cat._replace(scores=np.array([0.8, 0.7, 0.6]))
    together = Scored.of([cat, dog])
    assert together.scores.tolist() == [0.9, 0.8, 0.6, 0.1]
    assert together.hits.tolist() == [True, True, False, False]
    assert together.num_objects == 4
