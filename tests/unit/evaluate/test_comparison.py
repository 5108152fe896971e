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
from tests.unit.evaluate.made_up import CLASSES, image, random_images

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
    assert (found.ap.p or 0) < 0.001
    assert all(one.a is None or one.b is None or one.a > one.b for one in found.classes)


def test_a_network_is_not_better_than_itself() -> None:
    results, classes = random_images(2, 20)
    found = compare(results, results, classes=classes, settings=FEW)
    assert (found.ap.gain, found.ap.p) == (0, 1)
    assert found.ap.interval == Interval(low=0.0, high=0.0, level=0.95)
    assert found.ap.verdict() == (
        "no difference in AP can be told: A minus B is 0.0 (95 % interval 0.0 to 0.0)"
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


def test_one_image_or_no_object_says_nothing() -> None:
    one = [image([(BOX, 0)], [(BOX, 0, 0.5)])]
    none = [image([], [], source=name) for name in ("a", "b")]
    for results in (one, none):
        found = compare(results, results, classes=CLASSES, settings=FEW)
        assert found.ap.interval is None
        assert found.ap.verdict() == "no difference in AP can be told: the images say too little"


def test_images_that_differ_are_an_error() -> None:
    a, b, c = (image([], [], source=f"{name}.jpg") for name in "abc")
    with pytest.raises(ConfigError) as caught:
        compare([a, b, c], [a], classes=CLASSES)
    assert str(caught.value) == (
        "b.jpg: absent from the second results (and 1 more); evaluate both networks on the same "
        "images"
    )
    with pytest.raises(ConfigError, match=r"b\.jpg: absent from the first results"):
        compare([a], [a, b], classes=CLASSES)
    with pytest.raises(ConfigError, match=r"a\.jpg: stands twice in the second results"):
        compare([a], [a, a], classes=CLASSES)


def test_labels_that_differ_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"a\.jpg: the objects in it differ between the two"):
        compare([image([(BOX, 0)], [])], [image([(BOX, 1)], [])], classes=CLASSES)


def test_fewer_than_two_drawings_are_refused() -> None:
    one = [image([], [])]
    with pytest.raises(ConfigError, match="replicas is 1; comparing takes at least 2 drawings"):
        compare(one, one, classes=CLASSES, settings=EvaluationSettings(replicas=1))


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
