"""The confusion matrix: rows are what is there, columns what was found."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gelan.evaluate.confusion import ConfusionMatrix, confusion_matrix
from gelan.evaluate.matching import overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import CLASSES, image, random_images

WHOLE = (0.0, 0.0, 10.0, 10.0)
MOST = (0.0, 0.0, 10.0, 9.0)
HALF = (0.0, 0.0, 10.0, 5.0)
ELSEWHERE = (50.0, 50.0, 60.0, 60.0)
CAT, DOG, CAR, BACKGROUND = range(4)


def confusion(
    *results: ImageResult, classes: ClassTable = CLASSES, iou: float = 0.5
) -> ConfusionMatrix:
    pooled = pool(results, classes)
    return confusion_matrix(pooled, overlaps(pooled, at_least=0.1), confidence=0.25, iou=iou)


def cells(matrix: ConfusionMatrix) -> dict[tuple[int, int], int]:
    """Those that are not 0."""
    counts = np.array(matrix.counts)
    rows, columns = np.nonzero(counts)
    places = zip(rows.tolist(), columns.tolist(), strict=True)
    return {place: int(counts[place]) for place in places}


def test_right_wrong_missed_and_invented_have_their_places() -> None:
    result = image(
        [(WHOLE, CAT), (ELSEWHERE, DOG), ((20, 20, 30, 30), DOG)],
        [(WHOLE, CAT, 0.9), (ELSEWHERE, CAR, 0.8), ((70, 0, 80, 9), CAR, 0.7)],
    )
    assert cells(confusion(result)) == {
        (CAT, CAT): 1,
        (DOG, CAR): 1,
        (DOG, BACKGROUND): 1,
        (BACKGROUND, CAR): 1,
    }


def test_the_box_that_fits_best_answers_for_an_object_whatever_its_score() -> None:
    result = image([(WHOLE, CAT)], [(MOST, CAT, 0.9), (WHOLE, DOG, 0.3)])
    assert cells(confusion(result)) == {(CAT, DOG): 1, (BACKGROUND, CAT): 1}


def test_of_equal_overlaps_the_better_score_answers() -> None:
    result = image([(WHOLE, CAT)], [(MOST, DOG, 0.8), (MOST, CAT, 0.9)])
    assert cells(confusion(result)) == {(CAT, CAT): 1, (BACKGROUND, DOG): 1}


def test_low_scores_and_small_overlaps_do_not_count() -> None:
    result = image([(WHOLE, CAT)], [(WHOLE, CAT, 0.25), (HALF, CAT, 0.9)])
    assert cells(confusion(result)) == {(CAT, CAT): 1}
    assert cells(confusion(result, iou=0.6)) == {(CAT, BACKGROUND): 1, (BACKGROUND, CAT): 1}


def test_crowds_are_not_missed_and_what_lies_in_one_of_its_class_is_not_counted() -> None:
    result = image([], [(HALF, CAT, 0.9), (HALF, DOG, 0.9)], crowds=[(WHOLE, CAT)])
    assert cells(confusion(result)) == {(BACKGROUND, DOG): 1}


def test_nothing_at_all_is_a_matrix_of_zeros() -> None:
    assert confusion(image([], [])).counts == ((0, 0, 0, 0),) * 4


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_rows_sum_to_the_objects_and_columns_to_no_more_than_the_detections(seed: int) -> None:
    results, classes = random_images(seed, 4)
    pooled = pool(results, classes)
    counts = np.array(confusion(*results, classes=classes).counts)
    assert counts[:-1].sum(axis=1).tolist() == pooled.num_objects().tolist()
    found = pooled.detections.classes[pooled.above(0.25)]
    assert (counts[:, :-1].sum(axis=0) <= np.bincount(found, minlength=len(classes))).all()
