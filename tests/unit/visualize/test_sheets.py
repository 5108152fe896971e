"""Labelled images on a sheet: boxes where they are, nothing cut off, the original untouched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gelan.structures.samples import Annotations, Sample
from gelan.visualize.colors import class_color
from gelan.visualize.sheets import draw_annotations, sheet


def sample(annotations: Annotations) -> Sample:
    image = np.full((80, 120, 3), 60, np.uint8)
    image.flags.writeable = False  # as a data set with a cache gives it
    return Sample(image=image, annotations=annotations, source="a.jpg")


def test_a_box_is_drawn_on_its_edge_in_the_colour_of_its_class() -> None:
    drawn = draw_annotations(sample(Annotations.of_boxes([[20, 40, 70, 75]], [1])), ["a", "b"])
    assert drawn[60, 20].tolist() == list(class_color(1))
    assert drawn[60, 69].tolist() == list(class_color(1))
    assert drawn[60, 45].tolist() == [60, 60, 60]
    assert drawn[5, 5].tolist() == [60, 60, 60]


def test_an_outline_tints_the_inside_and_a_crowd_is_grey() -> None:
    one = Annotations.of_boxes([[20, 30, 70, 75]], [0])
    outline = np.array([[20, 30], [69, 30], [69, 74], [20, 74]], np.float32)
    tinted = draw_annotations(sample(replace(one, polygons=((outline,),))), ["a"])
    assert tinted[60, 45].tolist() != [60, 60, 60]
    crowd = draw_annotations(sample(replace(one, crowd=np.array([True]))), ["a"])
    assert crowd[60, 20].tolist() == [150, 150, 150]


def test_no_objects_leave_the_picture_as_it_is() -> None:
    plain = sample(Annotations.of_boxes([], []))
    np.testing.assert_array_equal(draw_annotations(plain, []), plain.image)


@given(
    st.floats(0, 120, width=32), st.floats(0, 80, width=32),
    st.floats(0, 120, width=32), st.floats(0, 80, width=32),
    st.text(max_size=40),
)  # fmt: skip
def test_any_box_and_any_name_can_be_drawn(
    left: float, top: float, right: float, bottom: float, name: str
) -> None:
    box = [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]
    drawn = draw_annotations(sample(Annotations.of_boxes([box], [0])), [name])
    assert drawn.shape == (80, 120, 3)


def test_pictures_fill_rows_and_keep_their_shape() -> None:
    black = np.zeros((20, 40, 3), np.uint8)
    page = sheet([black] * 5, columns=4, cell=40)
    rows, _ = np.nonzero(page[..., 0] == 0)
    assert len(rows) == 5 * 20 * 40
    assert page.shape == (2 * 26 + 6, 4 * 46 + 6, 3)  # rows as high as their pictures
