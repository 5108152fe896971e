from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gelan.data.formats.records import ImageRecord, Row, labels_of
from gelan.data.health.boxes import box_findings, boxes_of
from gelan.structures.findings import Finding

NAMES = ("cat", "dog")


def row(corners: tuple[float | int, ...], index: int, *, line: int = 0, crowd: bool = False) -> Row:
    left, top, right, bottom = map(float, corners)
    return Row((left, top, right, bottom), index, line=line, crowd=crowd)


def record(rows: list[Row], stated_hw: tuple[int, int] | None = (100, 200)) -> ImageRecord:
    return ImageRecord(
        path=Path("a.jpg"),
        labels=labels_of(rows, layout="corners"),
        label_file=Path("a.txt"),
        stated_hw=stated_hw,
    )


def findings(rows: list[Row], size: int = 640) -> list[Finding]:
    return list(box_findings(boxes_of(record(rows), None), names=NAMES, size=size))


def test_ordinary_boxes_and_no_boxes_have_no_findings() -> None:
    ordinary = [row((10, 10, 60, 50), 0, line=1), row((12, 10, 40, 80), 1, line=2)]
    assert findings(ordinary) == findings([]) == []


def test_nearly_equal_boxes_of_one_class_are_told_with_both_lines() -> None:
    rows = [row((10, 10, 110, 90), 0, line=4), row((10, 10, 111, 90), 0, line=9)]
    (found,) = findings(rows)  # overlap 100 / 101
    assert str(found) == "a.txt:9: nearly the same box as line 4 (overlap 0.99); keep one of them"
    assert (found.kind, found.severity) == ("box-repeated", "warning")


def test_nearly_equal_boxes_of_two_classes_are_told_with_the_names() -> None:
    rows = [row((10, 10, 110, 90), 0, line=4), row((10, 10, 110, 90), 1, line=9)]
    (found,) = findings(rows)
    assert found.kind == "box-two-classes"
    assert found.cause == "dog, and nearly the same box as line 4, which is cat (overlap 1.00)"


def test_of_three_equal_boxes_two_are_told() -> None:
    rows = [row((10, 10, 110, 90), 0, line=line) for line in (1, 2, 3)]
    assert [found.line for found in findings(rows)] == [2, 3]


def test_crowds_are_not_compared() -> None:
    rows = [row((10, 10, 110, 90), 0, line=1), row((10, 10, 110, 90), 0, crowd=True, line=2)]
    assert findings(rows) == []


def test_a_very_thin_box_is_told_with_its_size() -> None:
    (found,) = findings([row((0, 50, 200, 55), 0, line=3)])  # 40 to 1
    assert str(found).startswith("a.txt:3: a box of 200.0 x 5.0 pixels; check that the object")


def test_a_box_below_two_pixels_of_the_input_is_told() -> None:
    rows = [row((10, 10, 11, 12), 0, line=1)]  # 1 x 2 pixels of 200: 3.2 x 6.4 of 640
    assert findings(rows) == []
    (found,) = findings(rows, size=320)
    assert found.cause == "a box that is 1.6 pixels narrow in an input of 320"
    assert found.severity == "note"


def test_more_objects_than_are_detected_is_told_of_the_image() -> None:
    rows = [
        row((i % 20 * 10, i // 20 * 6, i % 20 * 10 + 9, i // 20 * 6 + 5), 0) for i in range(301)
    ]
    (found,) = findings(rows)
    assert str(found).startswith("a.jpg: 301 objects; at most 300 are detected by default;")


def test_as_many_objects_as_are_detected_need_no_word() -> None:
    rows = [
        row((i % 20 * 10, i // 20 * 6, i % 20 * 10 + 9, i // 20 * 6 + 5), 0) for i in range(300)
    ]
    assert findings(rows) == []


def test_a_box_of_which_nothing_lies_in_the_image_is_not_judged_again() -> None:
    assert findings([row((300, 10, 390, 11), 0)]) == []


def test_an_annotation_of_a_coco_file_is_named_with_its_image() -> None:
    labels = labels_of([Row((0.0, 50.0, 200.0, 55.0), 0, line=9, id=4)], layout="corners")
    image = replace(record([]), labels=labels, image_id=1)
    (found,) = box_findings(boxes_of(image, None), names=NAMES, size=640)
    assert (found.line, found.cause) == (9, "annotation 4 of a.jpg: a box of 200.0 x 5.0 pixels")


def test_where_lines_tell_nothing_the_image_and_the_number_of_the_object_do() -> None:
    (found,) = findings([row((1, 1, 9, 9), 0), row((0, 50, 200, 55), 0)])
    assert found.line is None
    assert found.cause == "a.jpg, object 2: a box of 200.0 x 5.0 pixels"


@pytest.mark.parametrize("stated_hw", [None, (100, 200)])
def test_an_unknown_size_still_lets_equal_boxes_be_found(stated_hw: tuple[int, int] | None) -> None:
    half = labels_of(
        [row((0.5, 0.5, 0.2, 0.2), 0, line=n) for n in (1, 2)], layout="centre-fractions"
    )
    image = ImageRecord(path=Path("a.jpg"), labels=half, label_file=None, stated_hw=stated_hw)
    (found,) = box_findings(boxes_of(image, None), names=NAMES, size=640)
    assert (found.kind, found.file, found.line) == ("box-repeated", "a.jpg", 2)


def test_shorter_sides_are_scaled_with_the_longer_side_of_the_image() -> None:
    image = boxes_of(record([row((10, 10, 40, 20), 0)]), None)
    assert image.sides_at(400).tolist() == [20.0]
