"""The bootstrap."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pytest

from gelan.evaluate import intervals
from gelan.evaluate.average_precision import Ranking, rankings
from gelan.evaluate.intervals import (
    drawings,
    headline_intervals,
    headline_replicas,
    interval,
    replicated,
    spread,
    student,
)
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import CLASSES, image, random_images

BOX = (0.0, 0.0, 10.0, 10.0)


class Usual(TypedDict):
    replicas: int
    level: float
    seed: int


USUAL: Usual = {"replicas": 100, "level": 0.95, "seed": 0}


def ranked(seed: int, count: int) -> list[Ranking]:
    return ranked_of(*random_images(seed, count))


def ranked_of(results: list[ImageResult], classes: ClassTable) -> list[Ranking]:
    pooled = pool(results, classes)
    pairs = overlaps(pooled, at_least=0.5)
    return rankings(pooled, match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=100))


def test_each_drawing_has_as_many_images_and_the_seed_decides_which() -> None:
    weights = drawings(7, replicas=5, seed=3)
    assert weights.shape == (7, 5)
    assert weights.sum(axis=0).tolist() == [7] * 5
    assert (weights == drawings(7, replicas=5, seed=3)).all()
    assert (weights != drawings(7, replicas=5, seed=4)).any()


def test_drawings_together_are_drawings_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    classes, weights = ranked(1, 10), drawings(10, replicas=6, seed=0)
    together = replicated(classes, weights)
    monkeypatch.setattr(intervals, "CELLS", 1)
    np.testing.assert_allclose(replicated(classes, weights), together, rtol=1e-12)


def test_the_spread_of_drawings_is_about_that_of_test_sets() -> None:
    """Of sets of 60 images from one source, AP varies; the bootstrap of one set must see it."""
    sets = [ranked(seed, 60) for seed in range(12)]
    once = np.ones((60, 1), np.int32)
    true_spread = spread(np.array([headline_replicas(one, once)[0][0] for one in sets]))
    weights = drawings(60, replicas=100, seed=0)
    seen = [spread(headline_replicas(one, weights)[0]) for one in sets]
    assert true_spread is not None
    ratio = np.median([value for value in seen if value is not None]) / true_spread
    assert 0.4 < ratio < 1.6


def test_a_drawing_without_objects_does_not_count() -> None:
    nothing = Ranking(
        images=np.zeros(0, np.int64),
        scores=np.zeros(0),
        hits=np.zeros((10, 0), bool),
        ignored=np.zeros((10, 0), bool),
        object_images=np.array([0]),
    )
    ap, ap50 = headline_replicas([nothing], np.array([[1, 0], [1, 2]], np.int32))
    assert ap[0] == ap50[0] == 0
    assert np.isnan(ap[1])


def test_an_interval_is_that_of_student_and_ends_at_the_limits() -> None:
    inside = interval(0.5, 0.01, num_images=1000, level=0.95)
    assert (inside.low, inside.high) == pytest.approx((0.4804, 0.5196), abs=1e-4)
    few = interval(0.5, 0.2, num_images=10, level=0.95)
    assert (few.low, few.high) == pytest.approx((0.5 - 2.262 * 0.2, 0.5 + 2.262 * 0.2), abs=1e-3)
    outside = interval(0.1, 0.1, num_images=100, level=0.95)
    assert (outside.low, outside.high) == pytest.approx((0.0, 0.2984), abs=1e-4)


@pytest.mark.parametrize(
    ("num_images", "low"), [(5, 0.549), (10, 0.741), (100, 0.9705), (1000, 0.9970)]
)
def test_perfect_images_leave_room_for_others(num_images: int, low: float) -> None:
    """The share of other images of which none would be seen with a chance of 5 %."""
    perfect = interval(1.0, 0.0, num_images=num_images, level=0.95)
    assert perfect.low == pytest.approx(low, abs=1e-3)
    assert perfect.high == 1.0
    assert (1 - (1 - perfect.low)) ** num_images == pytest.approx(0.05)
    hopeless = interval(0.0, 0.0, num_images=num_images, level=0.95)
    assert hopeless.low == 0.0
    assert hopeless.high == pytest.approx(1 - low, abs=1e-3)


@pytest.mark.parametrize(
    ("freedom", "at_95", "at_99"),
    [(4, 2.7764, 4.6041), (5, 2.5706, 4.0321), (9, 2.2622, 3.2498), (30, 2.0423, 2.7500)],
)
def test_factors_of_student_are_those_of_the_tables(
    freedom: int, at_95: float, at_99: float
) -> None:
    assert student(0.95, freedom) == pytest.approx(at_95, abs=1e-3)
    assert student(0.99, freedom) == pytest.approx(at_99, abs=0.02)


def test_fewer_than_five_images_with_objects_have_no_interval() -> None:
    empty = [image([], [], source=f"{number}.jpg") for number in range(10)]
    for count, known in ((4, False), (5, True)):
        full = [image([(BOX, 0)], [(BOX, 0, 0.9)], source=f"full {n}.jpg") for n in range(count)]
        ap, ap50 = headline_intervals(
            ranked_of([*empty, *full], CLASSES), num_images=10 + count, **USUAL
        )
        assert (ap is not None, ap50 is not None) == (known, known)


def test_two_drawings_are_the_fewest() -> None:
    for replicas, known in ((0, False), (1, False), (2, True)):
        found = headline_intervals(
            ranked(1, 20), num_images=20, replicas=replicas, level=0.95, seed=0
        )
        assert (found[0] is not None) == known


def test_the_deviation_is_that_of_one_image_less() -> None:
    """Drawings of n images vary by (n - 1) / n of what sets of n images do."""
    results = [
        image([(BOX, 0)], [(BOX, 0, 0.9)] * (number % 2), source=str(number)) for number in range(8)
    ]
    ranks = ranked_of(results, CLASSES)
    found, _ = headline_intervals(ranks, num_images=8, **USUAL)
    drawn = spread(headline_replicas(ranks, drawings(8, replicas=100, seed=0))[0])
    assert found is not None
    assert drawn is not None
    assert (found.high - found.low) / 2 == pytest.approx(
        student(0.95, 7) * drawn * (8 / 7) ** 0.5, rel=1e-6
    )


def test_classes_that_stand_in_one_image_are_less_sure_than_drawings_show() -> None:
    """Each image has a class that is found and one that is not, so AP of all drawings is 0.5."""
    names = tuple(map(str, range(10)))
    results = [
        image([(BOX, n), (BOX, n + 5)], [(BOX, n, 0.9)], source=str(n), names=names)
        for n in range(5)
    ]
    found, _ = headline_intervals(ranked_of(results, ClassTable(names)), num_images=5, **USUAL)
    assert found is not None
    share = 1 - 0.8**5 / (1 - 0.8**5)  # of an image's variance that drawings do not show
    deviation = (share * 10 * 0.5**2 / 10**2) ** 0.5
    assert found.low == pytest.approx(0.5 - 2.776 * deviation, abs=1e-3)


def test_intervals_of_small_sets_hold_the_mean() -> None:
    """`benchmarks/evaluation.py --simulate` measures it on many more."""
    sets = [ranked(seed, 6) for seed in range(60)]
    once = np.ones((6, 1), np.int32)
    figures = [headline_replicas(one, once)[0][0] for one in sets]
    found = [
        headline_intervals(one, num_images=6, replicas=60, level=0.95, seed=0)[0] for one in sets
    ]
    mean = np.nanmean(figures)
    held = [each.low <= mean <= each.high for each in found if each is not None]
    assert len(held) > 40
    assert np.mean(held) >= 0.92
