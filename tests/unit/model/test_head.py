"""The head's order of anchors, its priors, and what its numbers mean."""

from __future__ import annotations

import math

import pytest
import torch

from gelan.model.head import (
    DetectionHead,
    anchor_points,
    decode,
    expected_distances,
    last_bias,
)
from gelan.model.specs import HeadSpec
from gelan.structures.predictions import HeadOutput, Pyramid

SPEC = HeadSpec(box_width=8, class_width=8)


def test_anchor_points_are_cell_centres_row_by_row_finest_first() -> None:
    points, strides = anchor_points((32, 64))
    assert points.shape == (32 + 8 + 2, 2)
    assert points[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
    assert points[8].tolist() == [4.0, 12.0]
    assert points[32].tolist() == [8.0, 8.0]
    assert points[-1].tolist() == [48.0, 16.0]
    assert strides.tolist() == [8.0] * 32 + [16.0] * 8 + [32.0] * 2


def test_a_side_is_the_expectation_over_its_bins() -> None:
    logits = torch.full((1, 1, 4, 16), -1e4)
    logits[0, 0, 0, 3] = 0.0  # all weight on 3
    logits[0, 0, 1, [4, 5]] = 0.0  # half on 4, half on 5
    logits[0, 0, 2] = 0.0  # equal weights: the mean of 0 .. 15
    logits[0, 0, 3, 15] = 0.0
    assert expected_distances(logits)[0, 0].tolist() == pytest.approx([3.0, 4.5, 7.5, 15.0])


def test_a_box_by_hand() -> None:
    distances = torch.full((1, 42, 4, 16), -1e4)
    distances[..., 0] = 0.0
    anchor = 33  # stride 16, centre (24, 8)
    for side, bin_ in enumerate((1, 0, 2, 3)):
        distances[0, anchor, side] = -1e4
        distances[0, anchor, side, bin_] = 0.0
    boxes, scores = decode(HeadOutput(torch.zeros(1, 42, 3), distances), (32, 64))
    assert boxes[0, anchor].tolist() == pytest.approx([24 - 16, 8 - 0, 24 + 32, 8 + 48])
    assert scores.unique().tolist() == [0.5]


def test_half_precision_distances_are_summed_in_single() -> None:
    logits = torch.randn(1, 8, 4, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert expected_distances(logits).dtype == torch.float32


def test_priors_expect_five_objects_in_a_640_image() -> None:
    head = DetectionHead(SPEC, (8, 8, 8), num_classes=80)
    for tower, stride in zip(head.classes, (8, 16, 32), strict=True):
        expected = math.log(5 / 80 / (640 / stride) ** 2)
        assert last_bias(tower).tolist() == pytest.approx([expected] * 80)
    assert all(last_bias(tower).eq(1.0).all() for tower in head.boxes)


def test_each_level_keeps_its_place_in_the_output() -> None:
    torch.manual_seed(0)
    head = DetectionHead(SPEC, (8, 8, 8), num_classes=2).eval()
    levels = [torch.zeros(1, 8, size, size) for size in (4, 2, 1)]
    quiet = head(Pyramid(*levels)).logits
    levels[1][0, :, 1, 0] = 5.0  # second level, second row, first column
    changed = (head(Pyramid(*levels)).logits != quiet).any(dim=2)[0]
    assert changed[16:20].any()
    assert not changed[:16].any()
    assert not changed[20:].any()
