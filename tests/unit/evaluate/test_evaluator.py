"""The way from samples to a report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from jaxtyping import Float32

from gelan.errors import ConfigError
from gelan.evaluate.evaluator import evaluate, predict_all
from gelan.evaluate.settings import EvaluationSettings
from gelan.geometry.letterbox import Preprocessing
from gelan.predict.backends.raw import RawOutput
from gelan.predict.predictor import Predictor
from gelan.structures.samples import Annotations, Sample
from tests.unit.evaluate.made_up import CLASSES, image, random_images

BOX = (0.0, 0.0, 10.0, 10.0)


class TwoKinds:
    """Says that the whole image is a cat by its red and a dog by its green."""

    def __call__(self, images: Float32[np.ndarray, "batch 3 height width"]) -> RawOutput:
        boxes = np.tile(np.array([0, 0, 32, 32], np.float32), (len(images), 1, 1))
        scores = np.zeros((len(images), 1, 3), np.float32)
        scores[:, 0, :2] = images[:, :2, 0, 0]
        return RawOutput(boxes, scores)


def predictor() -> Predictor:
    return Predictor(TwoKinds(), classes=CLASSES, preprocessing=Preprocessing(size=32))


def samples(count: int) -> Iterator[Sample]:
    for number in range(count):
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[..., 0], picture[..., 1] = 255, 51
        yield Sample(
            image=picture,
            annotations=Annotations.of_boxes([[0, 0, 64, 64]], [number % 2]),
            source=f"{number}.png",
        )


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_samples_are_predicted_in_order_with_every_class_of_each_box(batch: int) -> None:
    results = list(predict_all(predictor(), samples(5), batch=batch))
    assert [result.source for result in results] == [f"{number}.png" for number in range(5)]
    assert [result.annotations.classes.tolist() for result in results] == [[0], [1], [0], [1], [0]]
    for result in results:
        assert result.detections.labels == ["cat", "dog"]
        assert result.detections.boxes.tolist() == [[0, 0, 64, 64]] * 2
        assert result.detections.scores.tolist() == pytest.approx([1, 0.2])


def test_samples_are_taken_no_further_than_the_batch_in_hand() -> None:
    taken: list[str] = []

    def watched() -> Iterator[Sample]:
        for sample in samples(10):
            taken.append(sample.source)
            yield sample

    results = predict_all(predictor(), watched(), batch=2)
    next(results)
    assert len(taken) == 2


def test_a_report_on_what_a_network_says() -> None:
    results = predict_all(predictor(), samples(12))
    report = evaluate(results, classes=CLASSES)
    assert (report.num_images, report.num_objects, report.num_detections) == (12, 12, 24)
    # Every other one is right: cats from the first on, dogs from the second on.
    of_cats = 17 + 17 * 2 / 3 + 17 * 3 / 5 + 16 * 4 / 7 + 17 * 5 / 9 + 17 * 6 / 11
    assert report.headline.ap == pytest.approx((of_cats / 101 + 1 / 2) / 2)
    cat, dog, car = report.classes
    assert (cat.num_images, cat.num_objects, car.ap) == (6, 6, None)
    assert dog.best is not None
    assert (dog.best.precision, dog.best.recall) == (0.5, 1.0)
    assert {cost.kind: cost.count for cost in report.errors}["classification"] == 12
    assert report.confusion.counts[0][0] == 6
    assert report.conditions.deviations == ()


def test_the_mean_curves_have_the_areas_of_the_headline() -> None:
    results, classes = random_images(3, 40)
    report = evaluate(results, classes=classes)
    figures, drawn = report.headline, report.curves
    for value, curve in (
        (figures.ap, drawn.precision_recall),
        (figures.ap50, drawn.precision_recall_50),
        (figures.ap75, drawn.precision_recall_75),
    ):
        assert curve is not None
        assert np.mean(curve) == pytest.approx(value, abs=1e-4)


def test_the_curve_of_a_class_has_the_area_of_its_ap50() -> None:
    results, classes = random_images(3, 40)
    report = evaluate(results, classes=classes)
    for figures, curves in zip(report.classes, report.curves.classes, strict=True):
        assert (figures.ap50 is None) == (curves is None)
        if curves is not None:
            assert np.mean(curves.precision_recall) == pytest.approx(figures.ap50, abs=1e-4)


def test_the_mean_of_the_classes_is_the_headline() -> None:
    results, classes = random_images(3, 40)
    report = evaluate(results, classes=classes)
    known = [figures.ap for figures in report.classes if figures.ap is not None]
    assert np.mean(known) == pytest.approx(report.headline.ap)


def test_the_same_seed_gives_the_same_interval_and_none_if_none_is_wanted() -> None:
    results, classes = random_images(3, 20)
    first, second = (evaluate(results, classes=classes) for _ in range(2))
    assert first == second
    assert first.ap_interval is not None
    assert first.ap_interval.low < (first.headline.ap or 0) < first.ap_interval.high
    without = evaluate(results, classes=classes, settings=EvaluationSettings(replicas=0))
    assert (without.ap_interval, without.headline) == (None, first.headline)
    assert evaluate(results[:1], classes=classes).ap_interval is None


def test_a_precision_floor_gives_a_second_confidence() -> None:
    result = image([(BOX, 0)] * 2, [(BOX, 0, 0.9), ((50, 50, 60, 60), 0, 0.8), (BOX, 0, 0.7)])
    settings = EvaluationSettings(precision_floor=0.9)
    cat = evaluate([result], classes=CLASSES, settings=settings).classes[0]
    assert cat.best is not None
    assert cat.at_floor is not None
    assert (cat.best.recall, cat.at_floor.recall, cat.at_floor.precision) == (1, 0.5, 1)
    assert evaluate([result], classes=CLASSES).classes[0].at_floor is None


def test_crowds_and_known_outlines_are_noted() -> None:
    results, classes = random_images(3, 40)
    notes = " ".join(evaluate(results, classes=classes).conditions.notes)
    assert "they need not be found" in notes
    assert "outlines" not in notes


@pytest.mark.parametrize(("count", "few"), [(9, True), (10, False)])
def test_a_class_with_fewer_than_ten_objects_is_noted(count: int, few: bool) -> None:
    results = [image([(BOX, 0)] * count, [(BOX, 0, 0.9)])]
    notes = " ".join(evaluate(results, classes=CLASSES).conditions.notes)
    assert ("classes with fewer than 10 objects: 1" in notes) == few


@pytest.mark.parametrize(("count", "few"), [(4, True), (5, False)])
def test_too_few_images_for_an_interval_are_noted(count: int, few: bool) -> None:
    results = [image([(BOX, 0)], [(BOX, 0, 0.9)], source=str(number)) for number in range(count)]
    empty = image([], [], source="empty")
    report = evaluate([*results, empty], classes=CLASSES)
    assert ("fewer than 5 images have objects" in " ".join(report.conditions.notes)) == few
    assert (report.ap_interval is None, report.ap50_interval is None) == (few, few)
    quiet = evaluate(results, classes=CLASSES, settings=EvaluationSettings(replicas=0))
    assert "fewer than 5" not in " ".join(quiet.conditions.notes)


def test_perfect_images_do_not_prove_a_perfect_network() -> None:
    results = [image([(BOX, 0)], [(BOX, 0, 0.9)], source=str(number)) for number in range(10)]
    found = evaluate(results, classes=CLASSES).ap_interval
    assert found is not None
    assert found.low == pytest.approx(0.05**0.1)
    assert found.high == 1.0


def test_a_finer_confusion_than_the_background_limit_sees_all_pairs() -> None:
    thin = image([(BOX, 0)], [((0, 0, 10, 0.8), 0, 0.9)])
    report = evaluate([thin], classes=CLASSES, settings=EvaluationSettings(iou=0.05))
    assert report.confusion.counts[0][0] == 1
    assert {cost.kind: cost.count for cost in report.errors}["background"] == 1


def test_no_images_are_an_error() -> None:
    with pytest.raises(ConfigError, match="there are no images to evaluate"):
        evaluate([], classes=CLASSES)
