"""Kinds of errors and their costs, by hand; background and both beside the library's."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.evaluate.errors import (
    IGNORED,
    KINDS,
    RIGHT,
    ErrorCost,
    Verdicts,
    error_costs,
    missed_objects,
    verdicts,
)
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, Pool, pool
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import CLASSES, Found, image, random_images

WHOLE = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 5.0)
PART = (0.0, 0.0, 10.0, 3.0)
TENTH = (0.0, 0.0, 10.0, 1.0)
SLIVER = (0.0, 0.0, 10.0, 0.5)
FAR = (50.0, 50.0, 60.0, 60.0)
CAT, DOG, CAR = range(3)


def judged(*results: ImageResult, classes: ClassTable = CLASSES) -> tuple[Pool, Verdicts]:
    pooled = pool(results, classes)
    pairs = overlaps(pooled, at_least=0.1)
    matches = match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=100)
    return pooled, verdicts(pooled, pairs, matches)


def words(verdict: Verdicts) -> list[str]:
    names = {RIGHT: "right", IGNORED: "ignored"}
    return [names.get(kind, "") or KINDS[kind] for kind in verdict.kinds.tolist()]


def costs(*results: ImageResult, classes: ClassTable = CLASSES) -> dict[str, ErrorCost]:
    pooled, verdict = judged(*results, classes=classes)
    return {cost.kind: cost for cost in error_costs(pooled, verdict, confidence=0.25)}


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ((WHOLE, CAT, 0.5), "duplicate"),
        ((HALF, CAT, 0.5), "duplicate"),
        ((WHOLE, DOG, 0.5), "classification"),
        ((HALF, DOG, 0.5), "classification"),
        ((PART, CAT, 0.5), "localisation"),
        ((PART, DOG, 0.5), "both"),
        ((TENTH, CAT, 0.5), "localisation"),  # exactly 0.1 is near enough
        ((TENTH, DOG, 0.5), "both"),
        ((SLIVER, CAT, 0.5), "background"),
        ((FAR, CAT, 0.5), "background"),
    ],
)
def test_every_kind_beside_a_right_detection(found: Found, kind: str) -> None:
    _, verdict = judged(image([(WHOLE, CAT)], [(WHOLE, CAT, 0.9), found]))
    assert words(verdict) == ["right", kind]
    assert verdict.objects.tolist() == [0, -1 if kind == "background" else 0]


def test_where_two_kinds_fit_the_better_place_and_then_the_right_class_win() -> None:
    objects = [(WHOLE, CAT), ((0.0, 0.0, 10.0, 9.0), DOG)]
    right = [(WHOLE, CAT, 0.9), ((0.0, 0.0, 10.0, 9.0), DOG, 0.9)]
    _, duplicate = judged(image(objects, [*right, (WHOLE, CAT, 0.5)]))
    assert words(duplicate)[2] == "duplicate"
    _, place = judged(image([(WHOLE, CAT), (PART, DOG)], [(PART, CAT, 0.5)]))
    assert words(place) == ["classification"]
    _, own = judged(image([(WHOLE, CAT), (WHOLE, DOG)], [(PART, CAT, 0.5)]))
    assert words(own) == ["localisation"]


def test_an_error_has_to_do_with_the_object_that_it_overlaps_most() -> None:
    _, verdict = judged(image([(WHOLE, CAT), (HALF, CAT)], [(PART, CAT, 0.5)]))
    assert words(verdict) == ["right"]  # 3 of 5
    _, verdict = judged(image([(WHOLE, CAT), ((0, 0, 10, 8), CAT)], [(PART, CAT, 0.5)]))
    assert (words(verdict), verdict.objects.tolist()) == (["localisation"], [1])
    assert verdict.ious.tolist() == [0.375]


def test_what_lies_in_a_crowd_is_no_error_and_a_crowd_is_not_missed() -> None:
    pooled, verdict = judged(image([], [(HALF, CAT, 0.9)], crowds=[(WHOLE, CAT)]))
    assert words(verdict) == ["ignored"]
    assert not missed_objects(pooled, verdict, kept=np.array([True])).any()


def test_an_object_is_missed_if_nothing_right_or_nearly_right_points_at_it() -> None:
    objects = [(WHOLE, CAT), (FAR, CAT), ((80, 80, 90, 90), CAT), ((20, 0, 30, 10), CAT)]
    found = [(WHOLE, DOG, 0.9), ((50, 50, 60, 53), CAT, 0.8), ((80, 80, 90, 83), DOG, 0.7)]
    pooled, verdict = judged(image(objects, found))
    assert words(verdict) == ["classification", "localisation", "both"]
    everything = np.ones(3, bool)
    assert missed_objects(pooled, verdict, kept=everything).tolist() == [False, False, True, True]
    best = np.array([True, False, False])
    assert missed_objects(pooled, verdict, kept=best).tolist() == [False, True, True, True]


def test_costs_of_one_error_each_by_hand() -> None:
    """Cat: AP50 is 51/101 while one of two is found."""
    two = [(WHOLE, CAT), (FAR, CAT)]
    half = 51 / 101
    found = costs(image(two, [(WHOLE, CAT, 0.9), (FAR, DOG, 0.8)]))
    assert found["classification"].ap50_cost == pytest.approx(1 - half)
    assert found["missed"].count == 0
    found = costs(image(two, [(WHOLE, CAT, 0.9), ((50, 50, 60, 53), CAT, 0.8)]))
    assert found["localisation"].ap50_cost == pytest.approx(1 - half)
    found = costs(image(two, [(WHOLE, CAT, 0.9)]))
    assert found["missed"].ap50_cost == pytest.approx(1 - half)
    assert found["background"].ap50_cost == 0


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("background", (FAR, CAT, 0.9)), ("both", (PART, CAT, 0.9)), ("duplicate", None)],
)
def test_costs_of_what_only_has_to_vanish(kind: str, wrong: Found | None) -> None:
    other = ((80.0, 80.0, 90.0, 90.0), CAT)
    first: Found = (other[0], CAT, 0.95)
    objects = [other, ((20.0, 0.0, 30.0, 10.0), CAT), (WHOLE, DOG)]
    found = costs(
        image(
            objects,
            [first, wrong or (other[0], CAT, 0.9), (objects[1][0], CAT, 0.5), (WHOLE, DOG, 0.9)],
        )
    )
    cat = (51 + 50 * 2 / 3) / 101
    assert found[kind].count == 1
    assert found[kind].ap50_cost == pytest.approx((1 - cat) / 2)


def test_a_corrected_detection_replaces_a_lower_one_and_yields_to_a_higher_one() -> None:
    wrong_between = (FAR, CAT, 0.8)
    higher = costs(image([(WHOLE, CAT)], [(WHOLE, DOG, 0.9), wrong_between, (WHOLE, CAT, 0.7)]))
    assert higher["classification"].ap50_cost == pytest.approx(1 - 0.5)
    lower = costs(image([(WHOLE, CAT)], [wrong_between, (WHOLE, CAT, 0.7), (WHOLE, DOG, 0.6)]))
    assert lower["classification"].ap50_cost == pytest.approx(0)


def test_of_two_corrections_on_one_object_one_stays() -> None:
    found = costs(image([(WHOLE, CAT)], [(WHOLE, DOG, 0.9), (WHOLE, CAR, 0.8)]))
    assert found["classification"].count == 2
    assert found["classification"].ap50_cost == pytest.approx(1)


def test_a_class_of_which_everything_was_missed_costs_all_of_its_ap() -> None:
    found = costs(image([(WHOLE, CAT), (FAR, DOG)], [(FAR, DOG, 0.9)]))
    assert found["missed"].ap50_cost == pytest.approx(0.5)
    assert costs(image([(WHOLE, CAT)], []))["missed"].ap50_cost == 1


def test_counts_above_the_confidence_are_what_a_user_sees() -> None:
    found = costs(image([(WHOLE, CAT)], [(FAR, CAT, 0.9), (FAR, CAT, 0.2), (WHOLE, CAT, 0.1)]))
    assert (found["background"].count, found["background"].confident) == (2, 1)
    assert (found["missed"].count, found["missed"].confident) == (0, 1)


def test_without_objects_there_are_counts_but_no_costs() -> None:
    found = costs(image([], [(FAR, CAT, 0.9)]))
    assert found["background"].count == 1
    assert found["background"].ap50_cost is None


def test_costs_that_depend_on_no_choice_agree_with_hotcoco() -> None:
    from hotcoco import COCO, COCOeval

    results, classes = random_images(5, 40)
    pooled, _ = judged(*results, classes=classes)
    truth, found = pooled.objects, pooled.detections
    dataset = COCO.from_arrays(
        [{"id": number + 1} for number in range(len(results))],
        [{"id": index + 1, "name": name} for index, name in enumerate(classes.names)],
        truth.images + 1,
        truth.classes + 1,
        np.concatenate([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]], axis=1),
        iscrowd=np.zeros(len(truth.images), bool),
    )
    boxes = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
    rows = np.stack((found.images + 1, *boxes.T, found.scores, found.classes + 1), axis=1)
    evaluation = COCOeval(dataset, dataset.load_res(rows), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    theirs = evaluation.tide_errors()

    ours = costs(*[without_crowds(result) for result in results], classes=classes)
    for kind, name in (("background", "Bkg"), ("both", "Both")):
        assert ours[kind].count == theirs["counts"][name]
        assert ours[kind].ap50_cost == pytest.approx(theirs["delta_ap"][name], abs=1e-9)
    in_place = ("classification", "localisation", "duplicate")
    assert sum(ours[kind].count for kind in in_place) == sum(
        theirs["counts"][name] for name in ("Cls", "Loc", "Dupe")
    )


def without_crowds(result: ImageResult) -> ImageResult:
    there = result.annotations
    return ImageResult(
        result.detections,
        type(there)(
            boxes=there.boxes,
            classes=there.classes,
            crowd=np.zeros(len(there), bool),
            areas=there.areas,
            polygons=there.polygons,
        ),
    )
