"""Drawing: what is changed and what is not, and where labels stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan.structures.detections import Detections
from gelan.visualize import lettering
from gelan.visualize.boxes import Pen, Rectangle, place_labels
from gelan.visualize.boxes import draw_detections as draw
from gelan.visualize.colors import class_color
from gelan.visualize.lettering import has_glyph

COCO128 = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "coco128"
NAMES = ("person", "bicycle", "car")
GREY = 90


def found(
    boxes: Sequence[Sequence[float]],
    *,
    scores: Sequence[float] | None = None,
    classes: Sequence[int] | None = None,
    size_hw: tuple[int, int] = (200, 300),
    names: tuple[str, ...] = NAMES,
    track_ids: Sequence[int] | None = None,
) -> Detections:
    count = len(boxes)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(count, 4),
        scores=np.array([0.5] * count if scores is None else scores, np.float32),
        classes=np.array([0] * count if classes is None else classes, np.int64),
        names=names,
        size_hw=size_hw,
        source="street.jpg",
        track_ids=None if track_ids is None else np.array(track_ids, np.int64),
    )


def canvas(size_hw: tuple[int, int] = (200, 300)) -> NDArray[np.uint8]:
    return np.full((*size_hw, 3), GREY, np.uint8)


def labels_of(detections: Detections) -> list[str]:
    height, width = detections.size_hw
    pen = Pen.for_size(width=width, height=height)
    return [plate.text for plate in place_labels(detections, pen=pen)]


def places_of(detections: Detections) -> list[Rectangle]:
    height, width = detections.size_hw
    pen = Pen.for_size(width=width, height=height)
    return [plate.place for plate in place_labels(detections, pen=pen)]


# --- pictures ----------------------------------------------------------------------------------


def test_no_detections_give_an_equal_copy() -> None:
    image = canvas()
    picture = draw(image, Detections.empty())
    assert np.array_equal(picture, image)
    assert not np.shares_memory(picture, image)


def test_the_input_is_not_modified() -> None:
    image = canvas()
    draw(image, found([[20, 40, 120, 160]]))
    assert (image == GREY).all()


def test_a_read_only_flipped_view_can_be_drawn_on() -> None:
    image = canvas()[:, ::-1]
    image.flags.writeable = False
    assert (draw(image, found([[20, 40, 120, 160]])) != GREY).any()


def test_the_line_lies_on_the_edge_of_the_box_in_the_colour_of_its_class() -> None:
    picture = draw(canvas((480, 640)), found([[100, 200, 300, 400]], size_hw=(480, 640)))
    color = class_color(0)
    assert [tuple(picture[300, x]) for x in (99, 100, 299, 300)] == [color] * 4
    assert [tuple(picture[y, 200]) for y in (199, 200, 399, 400)] == [color] * 4
    assert picture[300, [98, 101]].max() < 50  # dark outlines
    assert (picture[300, [97, 102]] == GREY).all()


@pytest.mark.parametrize("index", range(80))
def test_a_box_is_seen_on_a_background_of_its_own_colour(index: int) -> None:
    image = np.empty((100, 100, 3), np.uint8)
    image[:] = class_color(index)
    names = tuple(f"name {number}" for number in range(80))
    boxes = found([[20, 40, 80, 90]], classes=[index], size_hw=(100, 100), names=names)
    row = draw(image, boxes)[65].astype(int)
    assert np.abs(row - image[65]).sum(axis=1).max() > 100


@pytest.mark.parametrize(
    "box",
    [
        [50, 50, 50, 50],
        [50, 50, 50, 120],
        [120, 120, 50, 50],
        [-900, -900, 900, 900],
        [-1e30, 60, 1e30, 90],
        [299, 199, 300, 200],
        [0, 0, 300, 200],
        [-20, -20, 0, 0],
    ],
    ids=str,
)
def test_strange_boxes_that_touch_the_image_are_seen(box: list[float]) -> None:
    assert (draw(canvas(), found([box])) == class_color(0)).all(axis=2).any()


@pytest.mark.parametrize("box", [[-90, 10, -10, 90], [10, 201, 90, 290], [1e30, 0, 2e30, 9]])
def test_a_box_outside_the_image_is_not_drawn(box: list[float]) -> None:
    assert (draw(canvas(), found([box])) == GREY).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (40, 1), (8, 8), (16, 400), (32, 20)])
def test_images_smaller_than_a_label_can_be_drawn_on(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    picture = draw(canvas(size_hw), found([[0, 0, width, height]], size_hw=size_hw))
    assert picture.shape == (height, width, 3)


def test_the_better_box_lies_on_top_whatever_the_order() -> None:
    crossing = [[40, 40, 160, 160], [100, 80, 250, 120]]
    for scores, winner in (([0.9, 0.2], 0), ([0.2, 0.9], 1)):
        picture = draw(canvas(), found(crossing, scores=scores, classes=[0, 1]))
        assert tuple(picture[80, 160]) == class_color(winner)


EDGE = st.floats(-40, 300, width=32)
BOX_SCORE_CLASS = st.tuples(
    st.tuples(EDGE, EDGE, EDGE, EDGE), st.floats(0, 1, width=32), st.integers(0, 2)
)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(BOX_SCORE_CLASS, min_size=1, max_size=6),
    size_hw=st.tuples(st.integers(24, 260), st.integers(24, 260)),
)
def test_pixels_away_from_lines_and_labels_are_unchanged(
    rows: list[tuple[tuple[float, ...], float, int]], size_hw: tuple[int, int]
) -> None:
    boxes, scores, classes = zip(*rows, strict=True)
    detections = found(boxes, scores=scores, classes=classes, size_hw=size_hw)
    height, width = detections.size_hw
    pen = Pen.for_size(width=width, height=height)
    ranked = detections[np.argsort(-detections.scores, kind="stable")]
    may_change = np.zeros((height, width), bool)
    for box in detections.boxes:
        left, top, right, bottom = pen.frame(box, width=width, height=height)
        reach = pen.line + 2 * pen.outline
        ring = np.zeros_like(may_change)
        ring[top:bottom, left:right] = True
        ring[top + reach : max(0, bottom - reach), left + reach : max(0, right - reach)] = False
        may_change |= ring
    for place in places_of(ranked):
        assert 0 <= place.left < place.right <= width
        assert 0 <= place.top < place.bottom <= height
    seen = [
        box[[0, 2]].max() >= 0
        and box[[1, 3]].max() >= 0
        and box[[0, 2]].min() <= width
        and box[[1, 3]].min() <= height
        for box in ranked.boxes
    ]
    for place in places_of(ranked[np.array(seen)]):
        may_change[place.top : place.bottom, place.left : place.right] = True
    picture = draw(canvas((height, width)), detections)
    near_corners = np.ones((5, 5), np.uint8)
    grown = cv2.dilate(may_change.astype(np.uint8), near_corners).astype(bool)
    assert (picture[~grown] == GREY).all()


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'street.jpg' .* \(200, 300\), this one has \(20, 30\)"):
        draw(canvas((20, 30)), found([[0, 0, 9, 9]]))


def test_an_image_of_floats_is_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        draw(np.zeros((20, 30, 3), np.float32), Detections.empty())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_box_that_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"'street\.jpg' is not finite"):
        draw(canvas(), found([[0, 0, wrong, 9]]))


# --- labels ------------------------------------------------------------------------------------


def test_a_label_tells_track_name_and_score_in_two_decimals() -> None:
    assert labels_of(found([[20, 60, 120, 160]], scores=[0.868])) == ["person 0.87"]
    assert labels_of(found([[20, 60, 120, 160]], track_ids=[12])) == ["#12 person 0.50"]


def test_a_label_stands_on_its_box() -> None:
    place = places_of(found([[20, 60, 120, 160]]))[0]
    assert place.left in (18, 19)
    assert place.bottom in (58, 59, 60)


def test_a_label_without_room_above_stands_inside_the_top() -> None:
    place = places_of(found([[20, 5, 120, 160]]))[0]
    assert place.top in (2, 3, 4)


def test_a_label_at_the_right_border_is_moved_into_the_image() -> None:
    assert places_of(found([[280, 60, 300, 160]]))[0].right == 300


def test_labels_of_equal_boxes_do_not_cover_each_other() -> None:
    places = places_of(found([[20, 60, 220, 160]] * 3, scores=[0.9, 0.8, 0.7]))
    mask = np.zeros((200, 300), int)
    for place in places:
        mask[place.top : place.bottom, place.left : place.right] += 1
    assert len(places) == 3
    assert mask.max() == 1


def test_a_label_that_better_ones_would_hide_is_left_out_and_its_box_stays() -> None:
    crowd = found([[20, 60, 60, 90]] * 40, scores=np.linspace(0.9, 0.3, 40).tolist())
    assert 4 <= len(labels_of(crowd)) < 40


def test_the_better_label_covers_the_worse_one() -> None:
    both = found([[0, 0, 90, 24]] * 2, scores=[0.9, 0.8], classes=[0, 1], size_hw=(24, 90))
    better, worse = places_of(both)
    assert worse.top < better.bottom - 3
    inner = (slice(3, better.bottom - 3), slice(3, better.right - 3))  # without round corners
    image = canvas((24, 90))
    assert np.array_equal(draw(image, both)[inner], draw(image, both[:1])[inner])


def test_a_name_wider_than_the_image_is_shortened_and_the_score_stays() -> None:
    names = ("extraordinarily long name of a class",)
    label = labels_of(found([[0, 30, 150, 90]], names=names, size_hw=(100, 150)))[0]
    assert label.startswith("extraord")
    assert label.endswith(".. 0.50")


def test_an_image_too_narrow_for_any_name_shows_the_score() -> None:
    assert labels_of(found([[0, 30, 20, 90]], size_hw=(100, 20))) == ["0.50"]


def test_without_fonts_the_stroke_letters_of_opencv_4_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lettering, "HAS_FONT_FACE", False)
    has_glyph.cache_clear()
    detections = found([[20, 60, 120, 160]], names=("行人", "b", "c"))
    try:
        assert labels_of(detections) == ["class 0 0.50"]
        place = places_of(detections)[0]
        picture = draw(canvas(), detections)
    finally:
        has_glyph.cache_clear()
    inside = picture[place.top : place.bottom, place.left : place.right]
    assert (inside.max(axis=2) < 60).sum() > 50  # ink


# --- a real photograph -------------------------------------------------------------------------


def test_a_crowded_photograph_is_drawn_and_stays_a_photograph() -> None:
    labels = COCO128 / "labels" / "train2017" / "000000000196.txt"
    if not labels.exists():
        pytest.skip("../shared/data/coco128 is absent")
    path = COCO128 / "images" / "train2017" / "000000000196.jpg"
    image = np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]
    height, width = image.shape[:2]
    rows = np.loadtxt(labels, ndmin=2)
    centers, sizes = rows[:, 1:3] * (width, height), rows[:, 3:] * (width, height)
    detections = found(
        np.hstack([centers - sizes / 2, centers + sizes / 2]).tolist(),
        classes=rows[:, 0].astype(int).tolist(),
        size_hw=(height, width),
        names=tuple(f"name {number}" for number in range(80)),
    )
    picture = draw(image, detections)
    assert 0.05 < (picture != image).any(axis=2).mean() < 0.6


def test_a_name_of_a_million_letters_is_drawn_at_once() -> None:
    long = Detections(
        boxes=np.array([[10, 40, 90, 90]], np.float32),
        scores=np.array([0.5], np.float32),
        classes=np.array([0]),
        names=("w" * 10**6,),
        size_hw=(100, 200),
    )
    (plate,) = place_labels(long, pen=Pen.for_size(width=200, height=100))
    assert plate.text.startswith("ww")
    assert plate.text.endswith("w.. 0.50")
    assert draw(np.zeros((100, 200, 3), np.uint8), long).any()
