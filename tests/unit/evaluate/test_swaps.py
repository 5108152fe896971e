"""What is seen if two networks exchange their results on some images."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.evaluate.average_precision import Ranking, rankings
from gelan.evaluate.intervals import headline_replicas
from gelan.evaluate.matching import IOU_THRESHOLDS, match, overlaps
from gelan.evaluate.results import ImageResult, pool
from gelan.evaluate.swaps import chance, exchanged_gains, exchanges, surprise
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import random_images

CLASSES = ClassTable(tuple(f"kind {number}" for number in range(5)))


def ranked(results: list[ImageResult]) -> list[Ranking]:
    pooled = pool(results, CLASSES)
    pairs = overlaps(pooled, at_least=0.5)
    return rankings(pooled, match(pooled, pairs, thresholds=IOU_THRESHOLDS, max_detections=100))


def two_networks(*, coarse: bool) -> tuple[list[ImageResult], list[ImageResult]]:
    """The detections of two sources on the objects of the first."""
    first, _ = random_images(1, 12, coarse=coarse)
    second, _ = random_images(2, 12, coarse=coarse)
    other = [
        ImageResult(found.detections, truth.annotations)
        for found, truth in zip(second, first, strict=True)
    ]
    return first, [*first[:6], *other[6:]]


@pytest.mark.parametrize("coarse", [False, True])
def test_an_exchange_gives_the_gain_of_the_two_mixtures(coarse: bool) -> None:
    first, second = two_networks(coarse=coarse)
    exchanged = exchanges(12, replicas=6, seed=0)
    ap, ap50 = exchanged_gains(ranked(first), ranked(second), exchanged)
    once = np.ones((12, 1), np.int32)
    for column, (gain, gain50) in enumerate(zip(ap, ap50, strict=True)):
        pairs = list(zip(exchanged[:, column], first, second, strict=True))
        mixed = [other if moved else own for moved, own, other in pairs]
        mirrored = [own if moved else other for moved, own, other in pairs]
        one, two = (headline_replicas(ranked(results), once) for results in (mixed, mirrored))
        assert gain == pytest.approx(one[0][0] - two[0][0], abs=1e-12)
        assert gain50 == pytest.approx(one[1][0] - two[1][0], abs=1e-12)


def test_exchanging_equal_results_changes_nothing() -> None:
    first, _ = two_networks(coarse=True)
    ap, ap50 = exchanged_gains(ranked(first), ranked(first), exchanges(12, replicas=20, seed=0))
    assert not ap.any()
    assert not ap50.any()


def test_all_choices_are_tried_if_they_are_few_and_the_first_exchanges_nothing() -> None:
    every = exchanges(5, replicas=16, seed=0)
    assert every.shape == (5, 16)
    assert len({tuple(column) for column in every.T.tolist()}) == 16
    assert not every[0].any()
    assert not every[:, 0].any()
    some = exchanges(5, replicas=15, seed=0)
    assert some.shape == (5, 15)
    assert not some[:, 0].any()
    assert some[0].any()


def test_one_image_has_nothing_to_exchange() -> None:
    assert exchanges(1, replicas=20, seed=0).tolist() == [[0]]


def test_the_seed_decides_which_are_tried_of_many() -> None:
    first, again, other = (exchanges(40, replicas=20, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert 0.4 < first[:, 1:].mean() < 0.6


def test_the_gain_that_was_seen_is_one_of_the_choices() -> None:
    assert chance(np.array([0.5, 0.1, -0.2, 0.3])) == 0.25
    assert chance(np.array([0.0, 0.1])) == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_a_gain_is_a_surprise_exactly_if_its_chance_is_low(seed: int) -> None:
    """Of 40 choices, two may reach it."""
    random = np.random.default_rng(seed)
    gains = random.normal(0, 1, 40).round(1)
    gains[0] = 2.0
    assert (abs(gains[0]) > surprise(gains, level=0.95)) == (chance(gains) <= 0.05)
