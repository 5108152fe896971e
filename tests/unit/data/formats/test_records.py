from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gelan.data.formats.collector import KINDS, Collector
from gelan.data.formats.places import images_below, split_of
from gelan.data.formats.records import ImageRecord, Layout, Row, labels_of
from tests.unit.data.formats.small_sets import put_image


def record(layout: Layout, *boxes: tuple[float, float, float, float]) -> ImageRecord:
    rows = [Row(box, 0, line=number) for number, box in enumerate(boxes, start=1)]
    return ImageRecord(
        path=Path("a.png"), labels=labels_of(rows, layout=layout), label_file=Path("a.txt")
    )


@pytest.mark.parametrize(
    ("layout", "values"),
    [
        ("centre-fractions", (0.25, 0.5, 0.1, 0.4)),
        ("corner-size", (20, 15, 10, 20)),
        ("corners-from-1", (21, 16, 30, 35)),
        ("corners", (20, 15, 30, 35)),
    ],
)
def test_one_box_in_every_layout(layout: Layout, values: tuple[float, float, float, float]) -> None:
    box = record(layout, tuple(map(float, values))).annotations((50, 100)).boxes  # type: ignore[arg-type]
    np.testing.assert_allclose(box, [[20, 15, 30, 35]], rtol=0, atol=1e-5)


def test_an_image_without_objects_has_empty_annotations() -> None:
    empty = record("corner-size").annotations((50, 100))
    assert (len(empty), empty.boxes.shape, empty.polygons) == (0, (0, 4), ())


def test_boxes_are_cut_at_the_border_and_those_outside_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    two = record("corners", (90.0, 40.0, 120.0, 60.0), (100.0, 0.0, 110.0, 9.0))
    with caplog.at_level(logging.WARNING):
        annotations = two.annotations((50, 100))
    assert annotations.boxes.tolist() == [[90, 40, 100, 50]]
    assert annotations.areas.tolist() == [100.0]
    assert caplog.messages == ["a.png (100 x 50): 1 box outside the image"]
    assert two.outside((50, 100)).tolist() == [False, True]
    assert two.outside((50, 200)).tolist() == [False, False]


def test_changing_annotations_does_not_change_the_record() -> None:
    one = record("corners", (1.0, 2.0, 3.0, 4.0))
    one.annotations((50, 100)).classes[0] = 5
    assert one.labels.classes.tolist() == [0]


def test_a_record_goes_to_another_process() -> None:
    one = pickle.loads(pickle.dumps(record("corners", (1.0, 2.0, 3.0, 4.0))))
    assert one.annotations((50, 100)).boxes.tolist() == [[1, 2, 3, 4]]


FRACTION = st.floats(0, 1)


@given(
    boxes=st.lists(st.tuples(FRACTION, FRACTION, FRACTION, FRACTION), max_size=6),
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
)
def test_boxes_lie_in_their_image_and_have_an_area(
    boxes: list[tuple[float, float, float, float]], height: int, width: int
) -> None:
    found = record("centre-fractions", *boxes).annotations((height, width))
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2:] <= [width, height]).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_every_finding_is_of_a_kind_that_is_listed() -> None:
    with pytest.raises(AssertionError):
        Collector().note("whatever", "a", cause="b", remedy="c")
    assert all(kind == kind.lower() and meaning for kind, meaning in KINDS.items())


def test_names_of_splits_are_whole_words() -> None:
    assert [split_of(name) for name in ("training", "restrain", "value", "my-test_set")] == [
        "train",
        None,
        None,
        "test",
    ]
    assert split_of("train_and_test") is None


def test_images_are_told_by_their_suffix_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.PNG", "a/c.jpg", "a/b.bmp", ".hidden/d.png"):
        put_image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in images_below(tmp_path)]
    assert found == ["a/b.bmp", "a/c.jpg", "b.PNG"]
