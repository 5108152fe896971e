"""Conversion to supervision's Detections, and what is said where supervision is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from gelan.errors import MissingDependencyError
from gelan.predict.adapters import to_supervision
from gelan.structures.detections import Detections


def two_found(*, tracked: bool = False) -> Detections:
    return Detections(
        boxes=np.array([[10, 20, 50, 80], [0, 0, 9.5, 9]], np.float32),
        scores=np.array([0.9, 0.3], np.float32),
        classes=np.array([0, 2]),
        names=("person", "bicycle", "car"),
        size_hw=(100, 200),
        track_ids=np.array([7, 9]) if tracked else None,
    )


def test_without_supervision_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)  # as good as not installed
    with pytest.raises(MissingDependencyError) as caught:
        to_supervision(two_found())
    message = "supervision is needed to convert detections: pip install 'gelan[supervision]'"
    assert str(caught.value) == message


def test_boxes_scores_classes_and_names_arrive_in_supervision() -> None:
    pytest.importorskip("supervision")
    converted = to_supervision(two_found())
    assert converted.xyxy.tolist() == [[10, 20, 50, 80], [0, 0, 9.5, 9]]
    assert np.asarray(converted.confidence).tolist() == pytest.approx([0.9, 0.3])
    assert np.asarray(converted.class_id).tolist() == [0, 2]
    assert converted.tracker_id is None
    assert np.asarray(converted.data["class_name"]).tolist() == ["person", "car"]


def test_track_ids_arrive_in_supervision() -> None:
    pytest.importorskip("supervision")
    converted = to_supervision(two_found(tracked=True))
    assert np.asarray(converted.tracker_id).tolist() == [7, 9]


def test_no_detections_are_none_in_supervision() -> None:
    pytest.importorskip("supervision")
    converted = to_supervision(Detections.empty(names=("person",), size_hw=(4, 4)))
    assert len(converted) == 0
    assert converted.is_empty()


def test_a_change_in_supervision_does_not_reach_back() -> None:
    pytest.importorskip("supervision")
    detections = two_found()
    to_supervision(detections).xyxy[:] = 0
    assert detections.boxes[0].tolist() == [10, 20, 50, 80]
