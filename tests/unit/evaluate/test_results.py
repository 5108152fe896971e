"""Results of images put together."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.errors import ConfigError
from gelan.evaluate.results import ImageResult, pool
from gelan.structures.classes import ClassTable
from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations
from tests.unit.evaluate.made_up import CLASSES, image

BOX = (0.0, 0.0, 10.0, 10.0)


def test_detections_stand_image_after_image_best_first_and_equals_as_given() -> None:
    pooled = pool(
        [
            image([(BOX, 2)], [(BOX, 0, 0.25), (BOX, 1, 0.5), (BOX, 2, 0.25)]),
            image([], []),
            image([(BOX, 1)], [(BOX, 1, 0.75)], source="c.jpg"),
        ],
        CLASSES,
    )
    assert pooled.detections.images.tolist() == [0, 0, 0, 2]
    assert pooled.detections.scores.tolist() == [0.5, 0.25, 0.25, 0.75]
    assert pooled.detections.classes.tolist() == [1, 0, 2, 1]
    assert pooled.objects.images.tolist() == [0, 2]
    assert pooled.sources == ("a.jpg", "a.jpg", "c.jpg")


def test_crowds_are_not_among_the_objects_of_a_class() -> None:
    pooled = pool([image([(BOX, 2), (BOX, 2)], [], crowds=[(BOX, 2), (BOX, 0)])], CLASSES)
    assert pooled.num_objects().tolist() == [0, 0, 2]


def test_scores_above_a_confidence_are_strictly_greater_in_float32() -> None:
    pooled = pool([image([], [(BOX, 0, 0.3), (BOX, 0, 0.30001)])], CLASSES)
    assert pooled.above(0.3).tolist() == [True, False]


def test_no_images_are_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        pool([], CLASSES)
    assert str(caught.value) == (
        "there are no images to evaluate; check the data set and its split"
    )


def test_classes_in_another_order_are_an_error_and_named() -> None:
    turned = image([], [(BOX, 0, 0.5)], names=("cat", "car", "dog"))
    with pytest.raises(ConfigError) as caught:
        pool([turned], CLASSES)
    assert str(caught.value) == (
        "a.jpg: class 1 is 'car' for the network and 'dog' in the data set; evaluate with the "
        "class names, in the order, that the network was trained with"
    )


def test_another_number_of_classes_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"the network has 3 classes, the data set 1; evaluate"):
        pool([image([], [(BOX, 0, 0.5)])], ClassTable(("cat",)))


def test_an_image_without_detections_needs_no_names() -> None:
    empty = ImageResult(Detections.empty(), Annotations.of_boxes([], []))
    assert pool([empty], CLASSES).detections.scores.tolist() == []


@pytest.mark.parametrize("index", [3, -1])
def test_a_class_that_does_not_exist_is_an_error(index: int) -> None:
    with pytest.raises(ConfigError) as caught:
        pool([image([(BOX, index)], [])], CLASSES)
    assert str(caught.value) == (
        f"a.jpg: an object has class {index}, which is outside 0..2; check the class names of the "
        "data set"
    )


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: boxes, scores and areas must be finite"):
        pool([image([], [(BOX, 0, np.nan)])], CLASSES)
