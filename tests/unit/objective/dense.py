"""The assigner as the published recipe tells it: every object with every anchor of its image.

Slow, large and plain: what `gelan.objective.assigner` must agree with. One difference is agreed:
which anchors of metric 0 the recipe takes is left open (they learn nothing); here, none.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Dense(NamedTuple):
    """For every anchor of every image: (batch, anchors)."""

    objects: Tensor
    """Row of the object in its image; -1 without one."""
    weights: Tensor


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """CIoU of boxes along the last axis, x1, y1, x2, y2."""
    x1, y1, x2, y2 = first.unbind(-1)
    other_x1, other_y1, other_x2, other_y2 = second.unbind(-1)
    width, height = x2 - x1, y2 - y1 + 1e-7
    other_width, other_height = other_x2 - other_x1, other_y2 - other_y1 + 1e-7
    shared_width = (torch.minimum(x2, other_x2) - torch.maximum(x1, other_x1)).clamp(0)
    shared_height = (torch.minimum(y2, other_y2) - torch.maximum(y1, other_y1)).clamp(0)
    shared = shared_width * shared_height
    iou = shared / (width * height + other_width * other_height - shared + 1e-7)
    outer_width = torch.maximum(x2, other_x2) - torch.minimum(x1, other_x1)
    outer_height = torch.maximum(y2, other_y2) - torch.minimum(y1, other_y1)
    diagonal = outer_width**2 + outer_height**2 + 1e-7
    apart = ((other_x1 + other_x2 - x1 - x2) ** 2 + (other_y1 + other_y2 - y1 - y2) ** 2) / 4
    v = 4 / math.pi**2 * (torch.atan(other_width / other_height) - torch.atan(width / height)) ** 2
    return iou - apart / diagonal - v * (v / (v - iou + 1 + 1e-7))


def dense_assignment(
    scores: Tensor,
    predicted: Tensor,
    points: Tensor,
    *,
    boxes: Tensor,
    classes: Tensor,
    present: Tensor,
    topk: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> Dense:
    """Steps 1 to 7 of the recipe.

    `scores` (batch, anchors, classes) and `predicted` boxes (batch, anchors, 4); `boxes`
    (batch, most, 4) and `classes` (batch, most) of the objects, of which only those `present`
    (batch, most) are some.
    """
    batch, most = classes.shape
    if most == 0:
        return Dense(torch.full(scores.shape[:2], -1), torch.zeros(scores.shape[:2]))
    score = scores[torch.arange(batch)[:, None], :, classes]  # batch, most, anchors
    overlap = complete_iou(boxes[:, :, None], predicted[:, None]).clamp(0)
    overlap = overlap * present[:, :, None]
    metric = score**alpha * overlap**beta

    sides = torch.cat([points - boxes[:, :, None, :2], boxes[:, :, None, 2:] - points], dim=-1)
    inside = sides.amin(-1) > 1e-9
    real = (boxes.sum(-1) > 0) & present
    suited = metric * inside * real[:, :, None]
    best = suited.topk(min(topk, suited.shape[2]), dim=2).indices
    chosen = torch.zeros_like(inside).scatter_(2, best, value=True) & (suited > 0)

    contested = chosen.sum(1, keepdim=True) > 1
    most_overlapped = torch.zeros_like(chosen).scatter_(1, overlap.argmax(1, True), value=True)
    chosen = torch.where(contested, most_overlapped, chosen)

    metric = metric * chosen
    largest_metric = metric.amax(2, keepdim=True)
    largest_overlap = (overlap * chosen).amax(2, keepdim=True)
    weights = (metric * (largest_overlap / (largest_metric + 1e-9))).amax(1)
    return Dense(torch.where(chosen.any(1), chosen.int().argmax(1), -1), weights)
