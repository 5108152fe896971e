"""A trained network on a photograph: what a user sees when every part is right."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.data.images import read_image
from gelan.predict.loading import load
from tests.shared_files import shared


def test_the_trained_network_finds_bicycle_dog_and_truck() -> None:
    """Channels in another order, or width and height exchanged, give other boxes and scores."""
    path = shared("data/images/darknet_dog.jpg")
    predictor = load(shared("weights/yolov9t-ultralytics-coco-fp32.pt"), device="cpu")
    by_path, by_array = predictor.predict([path, read_image(path)])
    assert by_path.size_hw == (576, 768)
    assert by_path.labels == ["bicycle", "dog", "truck"]
    assert by_path.classes.tolist() == [1, 16, 7]
    assert by_path.scores.tolist() == pytest.approx([0.894, 0.858, 0.694], abs=0.01)
    expected = [[126, 136, 567, 418], [132, 220, 311, 543], [468, 74, 690, 173]]
    np.testing.assert_allclose(by_path.boxes, expected, atol=1.5)
    np.testing.assert_array_equal(by_array.boxes, by_path.boxes)


def test_the_class_filter_of_the_trained_network_goes_by_number_and_by_name() -> None:
    path = shared("data/images/darknet_dog.jpg")
    predictor = load(shared("weights/yolov9t-ultralytics-coco-fp32.pt"), device="cpu")
    for classes in (16, "dog", [16], np.array([16])):
        (found,) = predictor.predict(path, classes=classes)
        assert found.labels == ["dog"]
