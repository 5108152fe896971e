"""The worst images: every error in its place, numbered alike on both sides."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from gelan.data.images import Image
from gelan.evaluate.evaluator import evaluate
from gelan.report.pictures import MOST_NUMBERED, PLATE_RADIUS, WorstCase, as_data_uri, worst_cases
from gelan.structures.classes import ClassTable
from tests.unit.evaluate.made_up import CLASSES, Found, Object, image


def case_of(objects: list[Object], found: list[Found], crowds: list[Object]) -> WorstCase:
    def grey(_: str) -> Image:
        return np.full((100, 100, 3), 90, np.uint8)

    results = [image(objects, found, crowds=crowds)]
    report = evaluate(results, classes=CLASSES)
    return worst_cases(report, results, read=grey, limit=5)[0]


def test_right_wrong_and_missed_are_told_apart() -> None:
    case = case_of(
        [((0, 0, 40, 40), 0), ((50, 50, 90, 90), 1), ((5, 60, 20, 80), 2)],
        [((0, 0, 40, 40), 0, 0.9), ((50, 50, 90, 90), 0, 0.8), ((0, 0, 9, 9), 2, 0.2)],
        [((60, 0, 99, 30), 0)],
    )
    assert {(s.words, s.look, s.number) for s in case.truth} == {
        ("cat", "good", None),
        ("dog", "classification", 1),
        ("car", "missed", 2),
        ("cat (many)", "region", None),
    }
    assert {(s.words, s.look, s.number) for s in case.found} == {
        ("cat 0.90", "good", None),
        ("cat 0.80", "classification", 1),
    }  # 0.2 is below the confidence
    assert [caption.html for caption in case.captions] == [
        "<bdi>dog</bdi> found as <bdi>cat</bdi> (score 0.80)",
        "<bdi>car</bdi> not found",
    ]
    assert case.num_more == 0


def test_the_rest_of_many_errors_is_counted() -> None:
    boxes = [(float(n), 0.0, float(n) + 1, 1.0) for n in range(30)]
    case = case_of([(box, 0) for box in boxes], [], [])
    assert len(case.captions) == MOST_NUMBERED
    assert case.num_more == 30 - MOST_NUMBERED
    assert sum(shape.number is not None for shape in case.truth) == MOST_NUMBERED
    for shape in case.truth:
        if shape.number is not None:
            assert PLATE_RADIUS <= shape.plate[0] <= 100 - PLATE_RADIUS
            assert PLATE_RADIUS <= shape.plate[1] <= 100 - PLATE_RADIUS


def test_wrong_and_missed_take_turns_in_the_list() -> None:
    missed: list[Object] = [((float(n), 0.0, n + 2.0, 2.0), 0) for n in range(20)]
    case = case_of(missed, [((50, 50, 90, 90), 1, 0.9), ((50, 5, 90, 45), 1, 0.8)], [])
    kinds = [caption.kind for caption in case.captions[:5]]
    assert kinds == ["background", "missed", "background", "missed", "missed"]


def test_boxes_shrink_with_a_large_photo() -> None:
    result = image([((100, 200, 300, 400), 0)], [])
    big = type(result)(
        type(result.detections).empty(names=CLASSES.names, size_hw=(1280, 640), source="a.jpg"),
        result.annotations,
    )
    report = evaluate([big], classes=ClassTable(CLASSES.names))
    (case,) = worst_cases(report, [big], read=lambda _: np.zeros((1280, 640, 3), np.uint8), limit=1)
    assert case.size_wh == (320, 640)
    assert case.truth[0].place == (50.0, 100.0, 100.0, 100.0)


def test_an_inlined_photo_is_that_photo() -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    photo[..., 0] = 200  # red
    _, _, data = as_data_uri(photo, (32, 16)).partition(",")
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert back is not None
    assert back.shape == (16, 32, 3)
    assert back[8, 16].tolist() == pytest.approx([200, 0, 0], abs=4)
