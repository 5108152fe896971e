from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gelan.objective.candidates import candidates_of
from gelan.objective.grid import AnchorGrid, anchor_grid
from gelan.objective.targets import Targets
from tests.unit.objective.batches import CPU, grid, targets

corners = st.floats(-80, 160, width=32) | st.sampled_from([0.0, 4.0, 12.0, 16.0, 20.0, 48.0])
rows = st.lists(
    st.tuples(st.integers(0, 2), st.just(0), st.lists(corners, min_size=4, max_size=4)),
    max_size=12,
)


def inside(objects: Targets, anchors: AnchorGrid) -> Tensor:
    """The definition: (n, anchors), whether the centre lies strictly inside a real box."""
    boxes = objects.boxes[:, None]
    sides = torch.cat([anchors.points - boxes[..., :2], boxes[..., 2:] - anchors.points], dim=2)
    return (sides.amin(2) > 1e-9) & (objects.boxes.sum(1) > 0)[:, None]


def test_a_box_has_the_cells_whose_centres_it_holds() -> None:
    """On 64 x 32 px: columns 1, 2 of row 0 at stride 8 (centres 12, 20), one cell at stride 16."""
    objects = targets([(1, 0, [5, 1, 25, 9])], num_images=2, size_hw=(32, 64))
    found = candidates_of(objects, grid((32, 64)))
    assert found.objects.tolist() == [0, 0, 0, 0]
    # 32 + 8 + 2 anchors an image; level 1 begins at 32, its centres at x = 8, 24.
    assert found.anchors.tolist() == [42 + 1, 42 + 2, 42 + 32 + 0, 42 + 32 + 1]
    assert found.counts.tolist() == [4]


def test_a_centre_on_the_side_of_a_box_is_outside() -> None:
    size = (32, 32)
    touching = targets([(0, 0, [4, 0, 12, 8])], num_images=1, size_hw=size)
    assert candidates_of(touching, grid(size, (8,))).anchors.tolist() == []
    wider = targets([(0, 0, [3.9999995, 0, 12, 8])], num_images=1, size_hw=size)
    assert candidates_of(wider, grid(size, (8,))).anchors.tolist() == [0]


@pytest.mark.parametrize("box", [[-9e30, -8e30, 9e30, 9e30], [-1, -1, 99, 99]])
def test_a_box_beyond_the_canvas_has_all_anchors(box: list[float]) -> None:
    objects = targets([(0, 0, box)], num_images=1, size_hw=(32, 64))
    assert candidates_of(objects, grid((32, 64))).anchors.tolist() == list(range(42))


@pytest.mark.parametrize(
    "box", [[-50, -50, 40, 50], [8, 8, 8, 8], [20, 20, 4, 4], [5, 5, 7, 7], [70, 0, 90, 32]]
)
def test_a_box_that_is_not_real_or_holds_no_centre_has_none(box: list[float]) -> None:
    objects = targets([(0, 0, box)], num_images=1, size_hw=(32, 64))
    found = candidates_of(objects, grid((32, 64)))
    assert (len(found.anchors), found.counts.tolist()) == (0, [0])


def test_no_objects_have_no_candidates() -> None:
    found = candidates_of(targets([], num_images=2, size_hw=(32, 32)), grid((32, 32)))
    assert [len(part) for part in found] == [0, 0, 0]


@settings(max_examples=50, deadline=None)
@given(rows)
def test_they_are_exactly_the_centres_inside(
    objects_of_images: list[tuple[int, int, list[float]]],
) -> None:
    anchors = grid((96, 64))
    ordered = sorted(objects_of_images, key=lambda row: row[0])
    objects = targets(ordered, num_images=3, size_hw=(96, 64))
    found = candidates_of(objects, anchors)
    expected = inside(objects, anchors).nonzero()
    assert found.objects.tolist() == expected[:, 0].tolist()
    images = objects.images[expected[:, 0]]
    assert found.anchors.tolist() == (images * len(anchors) + expected[:, 1]).tolist()
    assert found.counts.tolist() == inside(objects, anchors).sum(1).tolist()


def test_a_grid_is_made_once_for_each_size() -> None:
    assert anchor_grid((64, 96), CPU) is anchor_grid((64, 96), CPU)
    assert len(anchor_grid((64, 96), CPU)) == 8 * 12 + 4 * 6 + 2 * 3


def test_a_grid_made_in_inference_serves_training() -> None:
    with torch.inference_mode():
        made = anchor_grid((32, 224), CPU)
    assert not any(part.is_inference() for part in (made.points, made.strides, made.level_sizes))
