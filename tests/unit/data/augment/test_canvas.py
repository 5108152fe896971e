from __future__ import annotations

import numpy as np
import pytest

from gelan.data.augment.canvas import Canvas, Placed, covered
from gelan.data.augment.config import AugmentConfig
from gelan.data.augment.geometric import Rectangle, scaling
from gelan.structures.samples import Annotations

ALL = AugmentConfig(copy_paste=1.0)


def canvas(
    boxes: list[list[float]], *, crowd: tuple[int, ...] = (), outlined: bool = True
) -> Canvas:
    """A canvas of 100 with one image of that size, in which each box is its own outline."""
    found = Annotations.of_boxes(boxes, [0] * len(boxes))
    outlines = tuple((box.reshape(2, 2)[[0, 0, 1, 1], [0, 1, 0, 1]],) for box in found.boxes)
    outlines = tuple(
        (np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32),)
        for x1, y1, x2, y2 in found.boxes.tolist()
    )
    annotations = Annotations(
        boxes=found.boxes,
        classes=found.classes,
        crowd=np.isin(np.arange(len(boxes)), crowd),
        areas=found.areas,
        polygons=outlines if outlined else ((),) * len(boxes),
    )
    image = Placed(
        index=0,
        size_hw=(100, 100),
        annotations=annotations,
        matrix=scaling(1.0, 1.0),
        window=Rectangle(0.0, 0.0, 100.0, 100.0),
    )
    return Canvas.of([image], side=100)


def pasted(on: Canvas, config: AugmentConfig = ALL) -> list[int]:
    return sorted(on.objects_to_paste(config, np.random.default_rng(0)).tolist())


def test_an_object_is_not_pasted_where_it_would_hide_another() -> None:
    # Mirrored, the first lies at 70..90 and hides the second; the second at 20..28 hides 0.16.
    assert pasted(canvas([[10, 10, 30, 30], [72, 12, 80, 20]])) == [1]


@pytest.mark.parametrize(("cover", "expected"), [(0.1, []), (0.2, [1]), (0.4, [1]), (0.6, [0, 1])])
def test_what_a_pasted_object_may_cover_is_a_setting(cover: float, expected: list[int]) -> None:
    # Mirrored, the first lies at 70..90 and hides half of the second, which hides 0.16 of it.
    boxes = [[10.0, 10.0, 30.0, 30.0], [66.0, 12.0, 74.0, 28.0]]
    assert pasted(canvas(boxes), AugmentConfig(copy_paste=1.0, copy_paste_cover=cover)) == expected


def test_an_object_that_would_cover_itself_is_not_pasted() -> None:
    assert pasted(canvas([[40, 10, 60, 30]])) == []


def test_crowds_and_objects_without_outline_are_not_pasted() -> None:
    boxes = [[5.0, 5.0, 20.0, 20.0], [5.0, 50.0, 20.0, 70.0]]
    assert pasted(canvas(boxes)) == [0, 1]
    assert pasted(canvas(boxes, crowd=(0,))) == [1]
    assert pasted(canvas(boxes, outlined=False)) == []
    assert pasted(canvas([])) == []


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 1), (0.5, 2), (1.0, 4)])
def test_a_share_of_the_candidates_is_pasted(share: float, count: int) -> None:
    boxes = [[5.0, 20.0 * row, 20.0, 20.0 * row + 10] for row in range(4)]
    assert len(pasted(canvas(boxes), AugmentConfig(copy_paste=share))) == count


def test_covered_is_the_share_of_the_covered_box() -> None:
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 22.0, 22.0]])
    by = np.array([[5.0, 0.0, 30.0, 30.0]])
    assert covered(boxes, by=by).tolist() == [[0.5, 1.0]]
