"""The bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.evaluate import intervals
from gelan.evaluate.average_precision import Ranking, rankings
from gelan.evaluate.intervals import (
    drawings,
    headline_replicas,
    interval,
    replicated,
    spread,
)
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import pool
from tests.unit.evaluate.made_up import random_images


def ranked(seed: int, count: int) -> list[Ranking]:
    results, classes = random_images(seed, count)
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
    monkeypatch.setattr(intervals, "_CELLS", 1)
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


def test_an_interval_of_95_percent_reaches_1_96_deviations_and_ends_at_the_limits() -> None:
    inside = interval(0.5, 0.1, level=0.95, limits=(0.0, 1.0))
    assert inside is not None
    assert (inside.low, inside.high) == pytest.approx((0.304, 0.696), abs=1e-4)
    outside = interval(0.1, 0.1, level=0.95, limits=(0.0, 1.0))
    assert outside is not None
    assert (outside.low, outside.high) == pytest.approx((0.0, 0.296), abs=1e-4)


def test_without_a_figure_or_a_deviation_there_is_no_interval() -> None:
    assert interval(None, 0.1, level=0.95, limits=(0.0, 1.0)) is None
    assert interval(0.5, None, level=0.95, limits=(0.0, 1.0)) is None
