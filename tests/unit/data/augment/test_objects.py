from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.geometric import Matrix, scaling
from gelan.data.augment.objects import (
    Moves,
    cut_polygon,
    hull,
    joined,
    moved_annotations,
)
from gelan.geometry.polygons import polygon_area
from gelan.structures.samples import Annotations, Polygons

CONFIG = AugmentConfig()
SIZE = 100
EVERYTHING = (-1e6, -1e6, 1e6, 1e6)


def moved(
    annotations: Annotations,
    matrix: Matrix,
    *,
    window: tuple[float, float, float, float] = EVERYTHING,
    config: AugmentConfig = CONFIG,
) -> Annotations:
    count = len(annotations)
    moves = Moves(
        matrices=np.repeat(matrix[None], count, axis=0),
        windows=np.repeat([window], count, axis=0).astype(float),
        seen=np.repeat([window], count, axis=0).astype(float),
    )
    return moved_annotations(annotations, moves, config=config, size=SIZE)[0]


def outlined(boxes: list[list[float]], outlines: list[Polygons]) -> Annotations:
    found = Annotations.of_boxes(boxes, range(len(boxes)))
    areas = np.array([sum(polygon_area(p) for p in o) for o in outlines], np.float32)
    return Annotations(
        boxes=found.boxes,
        classes=found.classes,
        crowd=found.crowd,
        areas=areas,
        polygons=tuple(outlines),
    )


def polygon(*points: tuple[float, float]) -> Polygons:
    return (np.array(points, np.float32),)


def test_a_box_is_scaled_shifted_and_cut_by_hand() -> None:
    found = moved(
        Annotations.of_boxes([[10, 10, 30, 20], [60, 10, 80, 30]], [4, 5]),
        scaling(2.0, 2.0, left=-40.0),
    )
    assert found.boxes.tolist() == [[0, 20, 20, 40], [80, 20, 100, 60]]
    assert found.areas.tolist() == [400, 800]
    assert found.classes.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ([0, 0, 2, 50], False),  # 2 px wide
        ([0, 0, 3, 50], True),
        ([0, 0, 50, 2], False),
        ([-29, 0, 3, 10], False),  # 3 of 32 columns are left: less than a tenth
        ([-26, 0, 3, 10], True),
        ([200, 0, 220, 10], False),
        ([-10, 20, -4, 40], False),
    ],
)
def test_boxes_are_kept_by_what_is_left_of_them(box: list[float], kept: bool) -> None:
    assert len(moved(Annotations.of_boxes([box], [0]), scaling(1.0, 1.0))) == kept


@pytest.mark.parametrize(
    ("scale", "left", "kept"),
    [
        (0.5, 0.0, True),  # 10 x 10 of 10 x 10 pixels: all is left, though a quarter of 20 x 20
        (0.5, 96.0, False),  # 4 of 10 columns
        (2.0, 84.0, False),  # 16 of 40 columns, more pixels than half of 20 x 20
        (2.0, 76.0, True),  # 24 of 40 columns
    ],
)
@pytest.mark.parametrize("has_outline", [False, True])
def test_the_share_that_is_left_is_counted_in_pixels_of_the_output(
    scale: float, left: float, kept: bool, has_outline: bool
) -> None:
    config = AugmentConfig(min_seen_box=0.5, min_seen_outline=0.5)
    box = [[0.0, 0.0, 20.0, 20.0]]
    found = Annotations.of_boxes(box, [0])
    if has_outline:
        found = outlined(box, [polygon((0, 0), (20, 0), (20, 20), (0, 20))])
    assert len(moved(found, scaling(scale, scale, left=left), config=config)) == kept


def test_slender_boxes_are_left_out() -> None:
    config = AugmentConfig(max_aspect=5.0)
    boxes = Annotations.of_boxes([[0, 0, 50, 10], [0, 0, 49, 10]], [0, 1])
    assert moved(boxes, scaling(1.0, 1.0), config=config).classes.tolist() == [1]


def test_an_object_with_an_outline_is_kept_to_a_hundredth() -> None:
    square = polygon((-60, 10), (3, 10), (3, 20), (-60, 20))
    box = [[-60.0, 10.0, 3.0, 20.0]]
    assert len(moved(Annotations.of_boxes(box, [0]), scaling(1.0, 1.0))) == 0
    assert moved(outlined(box, [square]), scaling(1.0, 1.0)).boxes.tolist() == [[0, 10, 3, 20]]


def test_what_is_left_is_counted_from_what_the_canvas_shows() -> None:
    # The window leaves 20 of 100 columns; 15 of these are in the output.
    wide = Annotations.of_boxes([[0, 0, 100, 10]], [0])
    window = (80.0, 0.0, 200.0, 200.0)
    config = AugmentConfig(min_seen_box=0.5)
    found = moved(wide, scaling(1.0, 1.0, left=-85.0), window=window, config=config)
    assert found.boxes.tolist() == [[0, 0, 15, 10]]
    assert found.areas.tolist() == [150]


def test_the_box_of_a_cut_object_fits_what_is_left_of_its_outline() -> None:
    triangle = polygon((-40, 0), (40, 0), (40, 80))  # its side runs from (-40, 0) to (40, 80)
    found = moved(outlined([[-40, 0, 40, 80]], [triangle]), scaling(1.0, 1.0))
    assert found.boxes.tolist() == [[0, 0, 40, 80]]
    found = moved(outlined([[-40, 0, 40, 80]], [triangle]), scaling(1.0, 1.0, top=-50.0))
    assert found.boxes.tolist() == [[10, 0, 40, 30]]
    assert found.areas.tolist() == pytest.approx([30 * 30 / 2])
    assert polygon_area(found.polygons[0][0]) == pytest.approx(450)


def test_an_uncut_object_keeps_its_label_even_where_the_outline_differs() -> None:
    loose = outlined([[10, 10, 50, 50]], [polygon((15, 15), (45, 15), (30, 45))])
    found = moved(loose, scaling(1.0, 1.0, left=20.0))
    assert found.boxes.tolist() == [[30, 10, 70, 50]]
    assert found.polygons[0][0].tolist() == [[35, 15], [65, 15], [50, 45]]


def test_parts_of_an_object_are_cut_each_for_itself() -> None:
    two = (*polygon((-20, 0), (-10, 0), (-10, 10)), *polygon((30, 40), (60, 40), (60, 70)))
    found = moved(outlined([[-20, 0, 60, 70]], [two]), scaling(1.0, 1.0))
    assert found.boxes.tolist() == [[30, 40, 60, 70]]
    assert len(found.polygons[0]) == 1


def test_a_turned_object_is_boxed_by_its_outline() -> None:
    half = np.sqrt(0.5)
    turn = np.array([[half, -half, 50.0], [half, half, 0.0], [0.0, 0.0, 1.0]])
    diamond = polygon((20, 10), (30, 20), (20, 30), (10, 20))
    box = [[10.0, 10.0, 30.0, 30.0]]
    loose = moved(Annotations.of_boxes(box, [0]), turn).boxes[0]
    tight = moved(outlined(box, [diamond]), turn).boxes[0]
    side = 20 * half
    np.testing.assert_allclose(tight[2:] - tight[:2], side, rtol=1e-5)
    np.testing.assert_allclose(loose[2:] - loose[:2], 2 * side, rtol=1e-5)


def test_an_outline_without_area_is_no_division_by_zero() -> None:
    line = polygon((-20, 10), (40, 40), (10, 25))
    found = moved(outlined([[-20, 10, 40, 40]], [line]), scaling(1.0, 1.0))
    assert found.boxes.tolist() == [[0, 20, 40, 40]]
    assert found.areas.tolist() == [0]


def test_no_objects_are_no_objects() -> None:
    none = Annotations.of_boxes([], [])
    assert len(moved(none, scaling(1.0, 1.0))) == 0
    assert len(joined([])) == len(joined([none, none])) == 0


def test_joined_keeps_the_order() -> None:
    parts = [Annotations.of_boxes([[0, 0, 1, 1]], [k]) for k in (3, 1, 2)]
    assert joined(parts).classes.tolist() == [3, 1, 2]


@given(
    points=st.lists(st.tuples(st.integers(-20, 50), st.integers(-20, 50)), min_size=3, max_size=7),
    x=st.floats(-25, 55),
    y=st.floats(-25, 55),
)
def test_the_quarters_of_a_polygon_make_up_the_whole(
    points: list[tuple[int, int]], x: float, y: float
) -> None:
    whole = star(np.array(points, np.float32))
    areas = []
    for quarter in ((-99, -99, x, y), (x, -99, 99, y), (-99, y, x, 99), (x, y, 99, 99)):
        cut = cut_polygon(whole, np.array(quarter, float))
        assert (cut >= np.array(quarter[:2]) - 1e-5).all()
        assert (cut <= np.array(quarter[2:]) + 1e-5).all()
        areas.append(polygon_area(cut))
    assert sum(areas) == pytest.approx(polygon_area(whole), abs=1e-2)


def star(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The points in order around their middle, so that no side crosses another."""
    offsets = points - points.mean(axis=0)
    return points[np.argsort(np.arctan2(offsets[:, 1], offsets[:, 0]))]


def test_a_polygon_outside_is_cut_to_nothing() -> None:
    square = np.array([[10.0, 10.0], [20.0, 10.0], [20.0, 20.0]])
    assert len(cut_polygon(square, np.array([30.0, 0.0, 40.0, 40.0]))) == 0
    assert hull(()).tolist() == [0, 0, 0, 0]
