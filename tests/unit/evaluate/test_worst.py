"""Lists of the worst images."""

from __future__ import annotations

from gelan.evaluate.errors import verdicts
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.evaluate.worst import ErrorCase, ImageErrors, worst_images
from tests.unit.evaluate.made_up import CLASSES, image

WHOLE = (0.0, 0.0, 10.0, 10.0)
PART = (0.0, 0.0, 10.0, 3.0)
FAR = (50.0, 50.0, 60.0, 60.0)
CAT, DOG = 0, 1


def worst(*results: ImageResult, limit: int = 9) -> tuple[ImageErrors, ...]:
    pooled = pool(results, CLASSES)
    pairs = overlaps(pooled, at_least=0.1)
    matches = match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=100)
    judged = verdicts(pooled, pairs, matches)
    return worst_images(pooled, judged, confidence=0.25, limit=limit)


def test_an_error_says_what_was_found_and_what_is_there() -> None:
    (found,) = worst(image([(WHOLE, CAT)], [(WHOLE, CAT, 0.9), (PART, DOG, 0.5)]))
    assert (found.source, found.weight, found.num_objects) == ("a.jpg", 0.5, 1)
    assert found.errors == (
        ErrorCase(
            kind="both",
            box=PART,
            found_class=DOG,
            score=0.5,
            truth_box=WHOLE,
            truth_class=CAT,
            iou=0.3,
        ),
    )


def test_what_is_invented_has_no_truth_and_what_is_missed_has_no_box() -> None:
    (found,) = worst(image([(WHOLE, CAT)], [(FAR, DOG, 0.75)]))
    missed, invented = found.errors
    assert (missed.kind, missed.box, missed.found_class, missed.score) == ("missed",) + (None,) * 3
    assert (missed.truth_box, missed.truth_class, missed.weight) == (WHOLE, CAT, 1.0)
    assert (invented.kind, invented.box, invented.score) == ("background", FAR, 0.75)
    assert (invented.truth_box, invented.truth_class, invented.iou) == (None, None, 0.0)
    assert found.weight == 1.75


def test_what_was_found_with_a_low_score_is_missed_as_a_user_sees_it() -> None:
    (found,) = worst(image([(WHOLE, CAT)], [(WHOLE, CAT, 0.2)]))
    assert [error.kind for error in found.errors] == ["missed"]


def test_images_stand_heaviest_first_and_those_without_errors_not_at_all() -> None:
    results = [
        image([(WHOLE, CAT)], [(WHOLE, CAT, 0.9)], source="good.jpg"),
        image([], [(FAR, DOG, 0.5)], source="bad.jpg"),
        image([(WHOLE, CAT)], [], source="worse.jpg"),
        image([], [(FAR, DOG, 0.1)], source="unsure.jpg"),
    ]
    assert [entry.source for entry in worst(*results)] == ["worse.jpg", "bad.jpg"]
    assert [entry.source for entry in worst(*results, limit=1)] == ["worse.jpg"]
    assert worst(*results, limit=0) == ()
