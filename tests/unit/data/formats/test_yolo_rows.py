from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.data.formats.collector import Collector
from gelan.data.formats.yolo_rows import LabelFile, RowReader
from gelan.geometry.polygons import polygon_area
from tests.unit.data.formats.small_sets import put

CLASSES = {0: 0, 1: 1, 2: 2}


def read(tmp_path: Path, text: str, *, any_class: bool = False) -> tuple[LabelFile, Collector]:
    collector = Collector()
    reader = RowReader(None if any_class else CLASSES, {"cat": 0, "dog": 1}, collector)
    file = reader.read(put(tmp_path / "a.txt", text))
    assert file is not None
    return file, collector


def test_a_box_row_is_class_centre_and_size(tmp_path: Path) -> None:
    file, collector = read(tmp_path, "1 0.5 0.25 0.2 0.1\n")
    assert file.labels.classes.tolist() == [1]
    assert file.labels.values.tolist() == [[0.5, 0.25, 0.2, 0.1]]
    assert file.labels.corners().round(6).tolist() == [[0.4, 0.2, 0.6, 0.3]]
    assert np.isnan(file.labels.areas).all()
    assert not collector.findings


def test_boxes_and_polygons_stand_in_one_file_and_each_row_is_judged_for_itself(
    tmp_path: Path,
) -> None:
    text = "0 0.5 0.5 0.2 0.2\n\n2 0.1 0.1 0.5 0.1 0.5 0.3\n1 0.2 0.2 0.1 0.1\n"
    file, _ = read(tmp_path, text)
    assert file.labels.classes.tolist() == [0, 2, 1]
    assert file.labels.lines.tolist() == [1, 3, 4]
    assert [len(parts) for parts in file.labels.polygons] == [0, 1, 0]
    assert file.labels.values[1].round(6).tolist() == [0.3, 0.2, 0.4, 0.2]
    assert file.labels.areas[1] == pytest.approx(0.4 * 0.2 / 2)


def test_an_empty_file_has_no_rows_and_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    file, collector = read(tmp_path, "\n  \n")
    assert len(file.labels) == 0
    assert not file.bad
    assert not collector.findings


@pytest.mark.parametrize(
    ("row", "kind", "cause"),
    [
        ("0 0.5 0.5 0.1", "row-fields", "4 fields, neither a box nor a polygon"),
        ("0", "row-fields", "1 field, neither a box nor a polygon"),
        ("0 .5 .5 .1 .1 .9", "row-fields", "6 fields, neither a box nor a polygon: a box with a"),
        ("0,0.5,0.5,0.1,0.1", "row-fields", "1 field, neither a box nor a polygon: separated by c"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "row-fields", "8 fields, neither a box nor a polygon"),
        ("0 0,5 0.5 0.1 0.1", "row-number", "'0,5' has a comma for its point"),
        ("0 0.5 x 0.1 0.1", "row-number", "'x' is no number"),
        ("0 nan 0.5 0.1 0.1", "row-number", "a coordinate is not finite"),
        ("0 0.5 inf 0.1 0.1", "row-number", "a coordinate is not finite"),
        ("dog 0.5 0.5 0.1 0.1", "class-unknown", "class 'dog' is no whole number"),
        ("0.5 0.5 0.5 0.1 0.1", "class-unknown", "class '0.5' is no whole number"),
        ("-1 0.5 0.5 0.1 0.1", "class-unknown", "class '-1' is no whole number"),
        ("3 0.5 0.5 0.1 0.1", "class-unknown", "class 3 is outside 0..2"),
        ("0 1.2 0.5 0.1 0.1", "value-range", "1.2 is outside 0..1"),
        ("0 0.5 -0.2 0.1 0.1", "value-range", "-0.2 is outside 0..1"),
        ("0 0.5 0.5 -0.1 0.1", "box-swapped", "width -0.1, height 0.1: a size is never negative"),
        ("0 0.5 0.5 0.1 0", "box-empty", "a box of width 0.1 and height 0"),
        ("0 .1 .1 .1 .2 .1 .3", "box-empty", "a polygon of width 0 and height 0.2"),
    ],
)
def test_a_bad_row_is_kept_aside_with_its_line_and_cause(
    tmp_path: Path, row: str, kind: str, cause: str
) -> None:
    file, _ = read(tmp_path, f"0 0.5 0.5 0.2 0.2\n{row}\n1 0.5 0.5 0.2 0.2\n")
    assert [(bad.line, bad.kind) for bad in file.bad] == [(2, kind)]
    assert file.bad[0].cause.startswith(cause)
    assert file.bad[0].remedy
    assert file.labels.lines.tolist() == [1, 3]


def test_a_class_name_in_a_row_is_answered_with_its_number(tmp_path: Path) -> None:
    file, _ = read(tmp_path, "dog 0.5 0.5 0.1 0.1")
    assert file.bad[0].remedy == "write 1, the number of this class"


def test_a_class_number_may_be_written_as_a_decimal(tmp_path: Path) -> None:
    file, _ = read(tmp_path, "2.0 0.5 0.5 0.1 0.1\n1.000 0.5 0.5 0.1 0.1")
    assert file.labels.classes.tolist() == [2, 1]


def test_any_class_number_will_do_where_no_names_are_known(tmp_path: Path) -> None:
    file, _ = read(tmp_path, "77 0.5 0.5 0.1 0.1", any_class=True)
    assert file.labels.classes.tolist() == [77]


def test_the_same_row_twice_is_used_once_and_said(tmp_path: Path) -> None:
    file, collector = read(tmp_path, "0 0.5 0.5 0.2 0.2\n0 0.50 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n")
    assert file.labels.lines.tolist() == [1, 3]
    (finding,) = collector.findings
    assert str(finding) == (
        f"{tmp_path / 'a.txt'}:2: the same row as line 1; one of them is used; take one of them out"
    )


def test_a_value_outside_by_rounding_is_cut_with_a_warning(tmp_path: Path) -> None:
    file, collector = read(tmp_path, "0 0.5 0.5 1.0005 1\n1 0 0 1.001 0 1 1")
    assert file.labels.values[0].tolist() == [0.5, 0.5, 1.0, 1.0]
    assert file.labels.polygons[1][0].max() == 1.0
    assert [(found.kind, found.line) for found in collector.findings] == [
        ("value-rounding", 1),
        ("value-rounding", 2),
    ]


def test_a_box_that_reaches_out_of_the_image_is_kept_with_a_warning(tmp_path: Path) -> None:
    file, collector = read(tmp_path, "0 0.9 0.5 0.4 0.2\n0 0.9 0.5 0.2 0.2")
    assert len(file.labels) == 2
    (finding,) = collector.findings
    assert (finding.kind, finding.severity, finding.line) == ("box-outside", "warning", 1)
    assert "reaches 10.0% of the image's size out of it" in finding.cause


def test_rows_end_as_any_system_writes_them_and_a_byte_order_mark_is_no_class(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf0 .5 .5 .1 .1\r\n1\t.5 .5 .2 .2\r\n")
    file = RowReader(CLASSES, {}, Collector()).read(tmp_path / "a.txt")
    assert file is not None
    assert file.labels.classes.tolist() == [0, 1]


def test_a_file_that_is_no_text_is_a_finding_not_an_empty_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe0\x00")
    collector = Collector()
    assert RowReader(CLASSES, {}, collector).read(tmp_path / "a.txt") is None
    assert [finding.kind for finding in collector.findings] == ["label-unreadable"]
    assert "is no text in UTF-8; its image is left out" in collector.findings[0].cause


FRACTION = st.floats(0, 1, allow_subnormal=False)


@given(st.lists(st.tuples(FRACTION, FRACTION, FRACTION, FRACTION), max_size=8))
def test_every_row_is_used_or_kept_aside(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, float, float, float]]
) -> None:
    text = "".join(f"1 {' '.join(map(repr, box))}\n" for box in boxes)
    file, collector = read(tmp_path_factory.mktemp("rows"), text)
    repeated = sum(finding.kind == "row-repeated" for finding in collector.findings)
    assert len(file.labels) + len(file.bad) + repeated == len(boxes)
    assert all(bad.kind == "box-empty" for bad in file.bad)


@given(st.text(alphabet="0123456789.,-+einfa \n\t", max_size=60))
def test_no_text_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file, _ = read(tmp_path_factory.mktemp("rows"), text)
    assert np.isfinite(file.labels.values).all()
    assert all(bad.cause and bad.remedy for bad in file.bad)


def test_the_area_of_an_outline_does_not_depend_on_its_direction() -> None:
    square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 3.0], [0.0, 3.0]])
    assert polygon_area(square) == polygon_area(square[::-1]) == 6.0
    assert math.isclose(polygon_area(square + 1e3), 6.0)
