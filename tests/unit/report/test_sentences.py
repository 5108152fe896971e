"""What the figures mean, in words that fit them."""

from __future__ import annotations

from gelan.evaluate.evaluator import evaluate
from gelan.evaluate.settings import EvaluationSettings
from gelan.report.sentences import meaning
from tests.unit.evaluate.made_up import CLASSES, image

QUICK = EvaluationSettings(replicas=0)


def test_what_is_found_missed_and_most_expensive_is_said() -> None:
    found = [((0.0, 0.0, 40.0, 40.0), 0, 0.9)]
    objects = [((0.0, 0.0, 40.0, 40.0), 0), ((50.0, 50.0, 90.0, 90.0), 0)]
    report = evaluate([image(objects, found)], classes=CLASSES, settings=QUICK)
    text = meaning(report)
    assert "On one image with 2 objects, AP is 0.505." in text  # 51 of 101 recalls
    assert "it finds 50 % of the objects, and 100 % of what it finds is right" in text
    assert text.endswith("What costs most is that objects are not found at all: 0.495 of AP50.")


def test_an_interval_is_one_of_the_mean_and_too_few_images_have_none() -> None:
    box = (0.0, 0.0, 40.0, 40.0)
    results = [image([(box, 0)], [(box, 0, 0.9)], source=str(number)) for number in range(10)]
    assert (
        "The mean of many sets of as many images of the same kind lies between 0.741 and 1.000 "
        "(95 % interval)"
    ) in meaning(evaluate(results, classes=CLASSES))
    few = meaning(evaluate(results[:2], classes=CLASSES))
    assert "These are too few images with objects to tell how sure that is." in few
    assert "too few" not in meaning(evaluate(results[:2], classes=CLASSES, settings=QUICK))


def test_a_perfect_network_costs_nothing() -> None:
    result = image([((0.0, 0.0, 40.0, 40.0), 0)], [((0.0, 0.0, 40.0, 40.0), 0, 0.9)])
    assert "costs most" not in meaning(evaluate([result], classes=CLASSES, settings=QUICK))


def test_detections_where_nothing_is_marked_are_counted() -> None:
    result = image([], [((0.0, 0.0, 9.0, 9.0), 0, 0.9)])
    text = meaning(evaluate([result], classes=CLASSES, settings=QUICK))
    assert text == (
        "In one image no objects are marked, so there is nothing that could be found. "
        "The network saw 1 detection all the same."
    )
