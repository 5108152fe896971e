"""Settings of an evaluation, and what makes figures incomparable."""

from __future__ import annotations

from typing import Any

import pytest

from gelan.errors import ConfigError
from gelan.evaluate.settings import STANDARD, EvaluationSettings, deviations
from gelan.predict.postprocess import PostprocessSettings


def test_the_defaults_are_the_protocol() -> None:
    assert deviations(STANDARD) == ()


def test_every_departure_is_said() -> None:
    other = EvaluationSettings(
        max_detections=300,
        postprocess=PostprocessSettings(
            confidence=0.25, iou=0.45, max_detections=50, classes=(0,), agnostic=True
        ),
    )
    assert deviations(other) == (
        "AP counts 300 detections of a class in one image, where COCO counts 100",
        "detections with scores up to 0.25 were left out, where published figures leave out those "
        "up to 0.001",
        "boxes of a class that overlap by more than 0.45 were merged, where published figures "
        "merge from 0.7",
        "at most 50 detections of an image were kept, where published figures keep 300",
        "only some classes were looked for",
        "boxes of different classes suppressed each other",
        "each place in the image counted with its best class alone, where published figures count "
        "every class",
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"confidence": 1.5}, "confidence is 1.5; it must lie between 0 and 1"),
        ({"precision_floor": -0.1}, "precision_floor is -0.1; it must lie between 0 and 1"),
        ({"iou": 0.0}, "iou is 0.0; it must lie above 0 and not above 1"),
        ({"level": 95.0}, "level is 95.0; it must lie between 0 and 1, as 0.95 does"),
        ({"replicas": -1}, "replicas is -1; it must not be negative"),
        ({"seed": -1}, "seed is -1; it must not be negative"),
        ({"worst_images": -1}, "worst_images is -1; it must not be negative"),
        ({"max_detections": 0}, "max_detections is 0; it must be at least 1"),
    ],
)
def test_values_outside_their_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EvaluationSettings(**values)
    assert str(caught.value) == message
