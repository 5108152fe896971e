"""Complete intersection over union (Zheng et al. 2020), on tensors with gradients."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_EPSILON = 1e-7


def complete_iou(
    boxes: Float[Tensor, "4 *#pairs"], others: Float[Tensor, "4 *#pairs"]
) -> Float[Tensor, "*pairs"]:
    """Overlap of two boxes less their distance and their difference in shape, in (-1.5, 1].

    Boxes are left, top, right, bottom along the *first* axis (each coordinate is then one block of
    memory), in any unit, and broadcast against each other. With IoU the intersection over union,
    d the distance of the centres, c the diagonal of the enclosing box, and w, h the sides:
    CIoU = IoU - d^2 / c^2 - v * v / (v - IoU + 1), where v = (2 / pi * difference of atan(w / h))^2
    and the last factor has no gradient. As in the code with which the published networks were
    trained, 1e-7 is added to heights, not to widths, to the union, to c^2 and to the last divisor.

    >>> box = torch.tensor([0.0, 0.0, 2.0, 2.0])
    >>> complete_iou(box, torch.tensor([1.0, 0.0, 3.0, 2.0]))  # 1 / 3 - 1 / 13
    tensor(0.2564)
    """
    left, top, right, bottom = boxes.unbind()
    other_left, other_top, other_right, other_bottom = others.unbind()
    width, height = right - left, bottom - top + _EPSILON
    other_width, other_height = other_right - other_left, other_bottom - other_top + _EPSILON

    overlap = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp(min=0)
    overlap = overlap * (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp(
        min=0
    )
    iou = overlap / (width * height + other_width * other_height - overlap + _EPSILON)

    across = torch.maximum(right, other_right) - torch.minimum(left, other_left)
    down = torch.maximum(bottom, other_bottom) - torch.minimum(top, other_top)
    shift_x = other_left + other_right - left - right  # twice the distance of the centres
    shift_y = other_top + other_bottom - top - bottom
    apart = (shift_x.square() + shift_y.square()) / 4
    apart = apart / (across.square() + down.square() + _EPSILON)

    turn = torch.atan(other_width / other_height) - torch.atan(width / height)
    shape = (2 / math.pi * turn).square()
    with torch.no_grad():
        tradeoff = shape / (shape - iou + (1 + _EPSILON))
    return iou - apart - shape * tradeoff
