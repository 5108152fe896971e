"""Two networks on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.evaluate.comparison import Difference, compare
from gelan.evaluate.intervals import Interval
from gelan.evaluate.results import ImageResult
from gelan.evaluate.settings import EvaluationSettings
from gelan.structures.detections import Detections
from tests.unit.evaluate.made_up import CLASSES, Found, image, random_images

BOX = (0.0, 0.0, 10.0, 10.0)
FEW = EvaluationSettings(replicas=100)


def worse(results: Sequence[ImageResult], *, share: float) -> list[ImageResult]:
    """Some detections of each image moved away."""
    random = np.random.default_rng(0)
    return [
        ImageResult(_moved(result.detections, random, share), result.annotations)
        for result in results
    ]


def _moved(found: Detections, random: np.random.Generator, share: float) -> Detections:
    away = random.random(len(found)) < share
    return Detections(
        boxes=found.boxes + np.where(away, 1000, 0).astype(np.float32)[:, None],
        scores=found.scores,
        classes=found.classes,
        names=found.names,
        size_hw=found.size_hw,
        source=found.source,
    )


def test_a_much_worse_network_is_found_out_from_either_side() -> None:
    results, classes = random_images(2, 60)
    bad = worse(results, share=0.5)
    found = compare(results, bad, classes=classes, settings=FEW)
    assert found.num_images == 60
    assert found.ap.verdict().startswith("A is better by ")
    assert found.ap50.verdict(("new", "old")).startswith("new is better by ")
    turned = compare(bad, results, classes=classes, settings=FEW)
    assert turned.ap.verdict().startswith("B is better by ")
    assert turned.ap.gain == pytest.approx(-1 * (found.ap.gain or 0))
    assert (found.ap.p, found.num_exchanges) == (0.01, 100)  # what was seen is one of the 100
    assert all(one.a is None or one.b is None or one.a > one.b for one in found.classes)


def test_a_network_is_not_better_than_itself() -> None:
    results, classes = random_images(2, 20)
    found = compare(results, results, classes=classes, settings=FEW)
    assert (found.ap.gain, found.ap.p) == (0, 1)
    assert found.ap.interval is None
    assert found.ap.verdict() == (
        "no difference in AP can be told: both do equally well on every image"
    )


def test_the_difference_is_surer_than_the_two_figures_are() -> None:
    results, classes = random_images(4, 60)
    found = compare(results, worse(results, share=0.05), classes=classes, settings=FEW)
    alone = compare(results, worse(results, share=1.0), classes=classes, settings=FEW)
    assert found.ap.interval is not None
    assert alone.ap.interval is not None
    assert (found.ap.interval.high - found.ap.interval.low) < 0.5 * (
        alone.ap.interval.high - alone.ap.interval.low
    )


def test_the_order_of_images_does_not_matter() -> None:
    results, classes = random_images(4, 20)
    bad = worse(results, share=0.2)
    assert compare(results, bad, classes=classes, settings=FEW) == compare(
        results, bad[::-1], classes=classes, settings=FEW
    )


def test_without_objects_nothing_can_be_told() -> None:
    none = [image([], [], source=name) for name in "abcdef"]
    found = compare(none, none, classes=CLASSES, settings=FEW)
    assert (found.ap.a, found.ap.p, found.ap.interval) == (None, None, None)
    assert found.ap.verdict() == (
        "no difference in AP can be told: there are no objects to be found"
    )


PERFECT = [(BOX, 0, 0.9)]
A_BIT_OFF = [((0.0, 0.0, 10.0, 8.0), 0, 0.9)]  # right at overlaps of 0.50 to 0.80


def alike(count: int, found: list[Found]) -> list[ImageResult]:
    return [image([(BOX, 0)], found, source=f"{number}.jpg") for number in range(count)]


@pytest.mark.parametrize(("count", "p"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 1 / 16)])
def test_up_to_five_images_are_too_few_however_much_better_one_is(count: int, p: float) -> None:
    """Of 5 images, one network is the better one in all 5 by chance in 2 of 32 cases."""
    found = compare(alike(count, PERFECT), alike(count, A_BIT_OFF), classes=CLASSES)
    assert found.ap.gain == pytest.approx(0.3)
    assert (found.ap.p, found.ap.interval) == (p, None)
    images = "one image is" if count == 1 else f"{count} images are"
    assert found.ap.verdict() == (
        f"no difference in AP can be told: {images} too few, it takes at least 6"
    )


def test_six_images_that_all_say_the_same_are_enough_and_the_interval_is_wide() -> None:
    found = compare(alike(6, PERFECT), alike(6, A_BIT_OFF), classes=CLASSES)
    assert (found.ap.p, found.num_exchanges) == (1 / 32, 32)
    assert found.ap.interval is not None
    low, high = found.ap.interval.low, found.ap.interval.high
    assert 0 < low < 0.3 < high
    assert high - low > 0.2
    assert found.ap.verdict().startswith("A is better by 30.0 AP (95 % interval ")


@pytest.mark.parametrize("count", [2, 6, 12])
def test_equally_good_networks_are_rarely_told_apart(count: int) -> None:
    """`benchmarks/evaluation.py --simulate` measures it on many more."""
    random = np.random.default_rng(count)
    told = 0
    for _ in range(60):
        pair = equally_good(random, count)
        found = compare(*pair, classes=CLASSES, settings=FEW)
        told += "better" in found.ap.verdict()
        assert found.ap.p is not None
        if found.ap.interval is not None:
            holds = found.ap.interval.low <= 0 <= found.ap.interval.high
            assert holds == (found.ap.p > 0.05 + 1e-9)
    assert told <= 6


def equally_good(
    random: np.random.Generator, count: int
) -> tuple[list[ImageResult], list[ImageResult]]:
    """Each object found by either network with a chance of 0.7, beside a wrong box."""
    results: tuple[list[ImageResult], list[ImageResult]] = ([], [])
    for number in range(count):
        objects = [((20.0 * nth, 0.0, 20.0 * nth + 15, 15.0), nth % 2) for nth in range(3)]
        for of_network in results:
            found = [
                ((left, top, right, bottom + random.normal(0, 2)), kind, random.uniform(0.3, 0.9))
                for (left, top, right, bottom), kind in objects
                if random.random() < 0.7
            ]
            found.append(((0.0, 50.0, 20.0, 70.0), 0, random.uniform(0.0, 0.6)))
            of_network.append(image(objects, found, source=str(number)))
    return results


def test_the_seed_decides_which_images_are_exchanged() -> None:
    pair = equally_good(np.random.default_rng(3), 12)
    found = [
        compare(*pair, classes=CLASSES, settings=EvaluationSettings(replicas=50, seed=seed)).ap
        for seed in (0, 1, 1)
    ]
    assert found[0] != found[1] == found[2]


def test_with_few_images_every_choice_is_tried_and_the_seed_does_not_matter() -> None:
    pair = equally_good(np.random.default_rng(3), 7)
    first, second = (
        compare(*pair, classes=CLASSES, settings=EvaluationSettings(replicas=64, seed=seed))
        for seed in (0, 1)
    )
    assert first.num_exchanges == 64
    assert (first.ap, first.ap50) == (second.ap, second.ap50)


def test_fewer_exchanges_than_a_verdict_takes_are_refused() -> None:
    one = [image([], [])]
    with pytest.raises(ConfigError, match="replicas is 19; comparing takes at least 20"):
        compare(one, one, classes=CLASSES, settings=EvaluationSettings(replicas=19))


def test_a_verdict_is_one_sentence_in_points_of_100() -> None:
    difference = Difference(
        figure="AP50",
        a=0.4,
        b=0.45,
        gain=-0.05,
        interval=Interval(low=-0.0812, high=-0.0188, level=0.95),
        p=0.002,
    )
    assert difference.verdict(("old", "new")) == (
        "new is better by 5.0 AP50 (95 % interval 1.9 to 8.1)"
    )
