"""Truth and detections in one picture: both are seen, the image itself is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from gelan.structures.detections import Detections
from gelan.structures.samples import Annotations
from gelan.visualize.boxes import draw_detections
from gelan.visualize.truth import draw_with_truth

IMAGE = np.full((120, 160, 3), 90, np.uint8)
NOTHING = Detections.empty(names=("a",), size_hw=(120, 160))


def test_a_true_box_is_dashed_in_white_along_its_edge() -> None:
    drawn = draw_with_truth(IMAGE, NOTHING, Annotations.of_boxes([[20, 30, 140, 100]], [0]))
    top = drawn[30, 20:140].reshape(-1, 3)
    white, plain = (top == 255).all(axis=1).mean(), (top == 90).all(axis=1).mean()
    assert white > 0.3
    assert plain > 0.2
    assert (drawn[60:70, 60:100] == 90).all()  # inside nothing
    assert (IMAGE == 90).all()


def test_no_dash_crosses_a_label() -> None:
    found = Detections(
        boxes=np.array([[40, 60, 140, 110]], np.float32),
        scores=np.array([0.5], np.float32),
        classes=np.array([0]),
        names=("a",),
        size_hw=(120, 160),
    )
    truth = Annotations.of_boxes([[30, 52, 150, 115]], [0])  # its upper edge is behind the label
    alone, both = draw_detections(IMAGE, found), draw_with_truth(IMAGE, found, truth)
    np.testing.assert_array_equal(alone[46:60, 42:60], both[46:60, 42:60])
    assert (alone != both).any()


def test_without_truth_it_is_the_picture_of_the_detections() -> None:
    found = Detections(
        boxes=np.array([[20, 30, 140, 100]], np.float32),
        scores=np.array([0.5], np.float32),
        classes=np.array([0]),
        names=("a",),
        size_hw=(120, 160),
    )
    nothing = Annotations.of_boxes([], [])
    drawn = draw_with_truth(IMAGE, found, nothing)
    np.testing.assert_array_equal(drawn, draw_detections(IMAGE, found))


@pytest.mark.parametrize("box", [[5, 5, 5, 5], [-50, -50, 400, 300], [159, 0, 160, 120]])
def test_any_true_box_can_be_drawn(box: list[float]) -> None:
    assert draw_with_truth(IMAGE, NOTHING, Annotations.of_boxes([box], [0])).shape == IMAGE.shape
