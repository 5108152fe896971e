from __future__ import annotations

from pathlib import Path

import pytest

from gelan.data.formats.collector import Collector
from gelan.data.formats.yolo_rows import RowReader
from gelan.data.formats.yolo_suspicions import explain
from gelan.structures.findings import Finding
from tests.unit.data.formats.small_sets import of_kind, put


def findings(tmp_path: Path, rows: list[str], *, num_classes: int = 3) -> list[Finding]:
    collector = Collector()
    numbers = {number: number for number in range(num_classes)}
    file = RowReader(numbers, {}, collector).read(put(tmp_path / "a.txt", "\n".join(rows)))
    assert file is not None
    explain([file], "train", place=tmp_path, num_classes=num_classes, collector=collector)
    return collector.findings


def test_values_far_above_one_look_like_pixels(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, ["0 320 240 100 50", "0 0.5 0.5 0.1 0.1"])
    assert (finding.kind, finding.severity, finding.line) == ("value-range", "error", 1)
    assert finding.cause == "320 is outside 0..1: looks like pixels"
    assert finding.remedy.startswith("divide x and width by the image's width")


def test_values_a_little_above_one_do_not_look_like_pixels(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, ["0 1.2 0.5 0.1 0.1"])
    assert finding.cause == "1.2 is outside 0..1"


def test_pixels_whose_second_pair_is_always_larger_look_like_corners(tmp_path: Path) -> None:
    rows = [f"0 {x} {x} {x + 50} {x + 40}" for x in (10, 100, 300, 200, 50)]
    found = findings(tmp_path, rows)
    assert {finding.cause.partition(": ")[2] for finding in found} == {
        "looks like pixels, as x1 y1 x2 y2"
    }
    assert "(x1+x2)/2" in found[0].remedy


def test_four_such_boxes_may_be_chance(tmp_path: Path) -> None:
    found = findings(tmp_path, [f"0 {x} {x} {x + 50} {x + 40}" for x in (10, 100, 300, 200)])
    assert {finding.cause.partition(": ")[2] for finding in found} == {"looks like pixels"}


def test_fractions_of_corners_are_told_from_centres_by_all_boxes_together(tmp_path: Path) -> None:
    corners = [(0.1, 0.1, 0.3, 0.4), (0.5, 0.2, 0.9, 0.8), (0.6, 0.6, 0.7, 0.9)]
    corners += [(0.05, 0.3, 0.2, 0.5), (0.4, 0.4, 0.95, 0.95)]
    found = findings(tmp_path, [f"0 {' '.join(map(str, box))}" for box in corners])
    (told,) = of_kind(found, "values-corners")
    assert told.severity == "warning"
    assert told.cause.startswith(
        "in all 5 boxes of train the last two numbers exceed the first two, and 5"
    )


def test_large_boxes_within_the_image_do_not_look_like_corners(tmp_path: Path) -> None:
    rows = [f"0 0.5 0.5 {size} {size}" for size in (0.6, 0.7, 0.8, 0.9, 1)]
    assert not findings(tmp_path, rows)


def test_one_box_that_is_longer_than_its_centre_is_far_clears_the_suspicion(tmp_path: Path) -> None:
    corners = [(0.5, 0.2, 0.9, 0.8), (0.6, 0.6, 0.7, 0.9), (0.4, 0.4, 0.95, 0.95)]
    rows = [f"0 {' '.join(map(str, box))}" for box in corners * 3]
    assert not of_kind(findings(tmp_path, [*rows, "0 0.5 0.5 0.1 0.1"]), "values-corners")


@pytest.mark.parametrize(("outside", "is_told"), [(1, False), (2, True)])
def test_a_tenth_of_boxes_far_outside_is_what_it_takes(
    tmp_path: Path, outside: int, is_told: bool
) -> None:
    inside = [f"0 0.3 0.3 {0.4 + i / 100:.2f} 0.5" for i in range(20 - outside)]
    rows = [*inside, *[f"0 0.3 0.3 0.{90 + i} 0.5" for i in range(outside)]]
    assert bool(of_kind(findings(tmp_path, rows), "values-corners")) == is_told


def test_a_corner_and_a_size_are_told_from_a_centre_and_a_size(tmp_path: Path) -> None:
    boxes = [
        (0.0, 0.1, 0.3, 0.2),
        (0.5, 0.2, 0.4, 0.3),
        (0.05, 0.6, 0.3, 0.3),
        (0.7, 0.7, 0.3, 0.3),
    ]
    rows = [f"0 {' '.join(map(str, box))}" for box in [*boxes, (0.1, 0.1, 0.8, 0.1)]]
    (told,) = of_kind(findings(tmp_path, rows), "values-left-top")
    assert told.severity == "warning"
    assert told.cause.startswith("in all 5 boxes of train, x + width and y + height are at most 1")
    assert not of_kind(findings(tmp_path, [*rows, "0 0.8 0.5 0.3 0.2"]), "values-left-top")
    assert not of_kind(findings(tmp_path, rows[:4]), "values-left-top")


def test_a_polygon_on_a_line_gives_its_box_and_a_warning(tmp_path: Path) -> None:
    (told,) = findings(tmp_path, ["0 .1 .1 .2 .2 .3 .3"])
    assert (told.kind, told.severity, told.line) == ("outline-broken", "warning", 1)
    assert told.cause == "the outline encloses nothing; its box is used"


def test_classes_counted_from_one_are_told_by_the_number_after_the_last(tmp_path: Path) -> None:
    found = findings(tmp_path, ["1 .5 .5 .1 .1", "3 .5 .5 .2 .2"])
    (row,) = of_kind(found, "class-unknown")
    assert row.line == 2
    assert row.cause == (
        "class 3 is outside 0..2: class 0 never occurs: are the classes counted from 1?"
    )
    (told,) = of_kind(found, "class-shift")
    assert (told.severity, told.file) == ("warning", str(tmp_path))


def test_a_class_too_high_is_no_shift_where_class_0_occurs(tmp_path: Path) -> None:
    found = findings(tmp_path, ["0 .5 .5 .1 .1", "3 .5 .5 .2 .2"])
    assert [finding.cause for finding in found] == ["class 3 is outside 0..2"]


def test_cocos_own_ids_are_known_by_numbers_up_to_90(tmp_path: Path) -> None:
    found = findings(tmp_path, ["1 .5 .5 .1 .1", "90 .5 .5 .2 .2"], num_classes=80)
    (told,) = of_kind(found, "class-shift")
    assert told.cause == "in train, class 0 never occurs: COCO's ids 1..90 instead of 0..79?"


def test_nothing_is_found_where_there_are_no_rows(tmp_path: Path) -> None:
    assert not findings(tmp_path, [])
