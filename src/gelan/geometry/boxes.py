"""Boxes as numbers: formats, area, clipping and overlap.

A box without further words is `xyxy`: left, top, right, bottom in pixels of one image. x grows to
the right, y grows downwards, and coordinates lie between pixels: the first pixel reaches from 0
to 1, so a box as wide as the image ends at `width`. The other formats are `cxcywh` (centre, width,
height) and `xywh` (left, top, width, height). All functions leave their arguments as they are and
return float32; conversions accept any number of leading axes and any unit.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_TINY = np.finfo(np.float32).tiny


def cxcywh_to_xyxy(
    boxes: Float[np.ndarray, "*batch 4"],
) -> Float[np.ndarray, "*batch 4"]:
    """Left, top, right, bottom of boxes given by centre, width and height.

    >>> cxcywh_to_xyxy(np.array([[5, 10, 4, 6]], np.float32))
    array([[ 3.,  7.,  7., 13.]], dtype=float32)
    """
    centre, half_size = boxes[..., :2], boxes[..., 2:] / np.float32(2)
    return np.concatenate([centre - half_size, centre + half_size], axis=-1)


def xyxy_to_cxcywh(
    boxes: Float[np.ndarray, "*batch 4"],
) -> Float[np.ndarray, "*batch 4"]:
    """Centre, width and height of boxes.

    >>> xyxy_to_cxcywh(np.array([[3, 7, 7, 13]], np.float32))
    array([[ 5., 10.,  4.,  6.]], dtype=float32)
    """
    top_left, bottom_right = boxes[..., :2], boxes[..., 2:]
    centre = (top_left + bottom_right) / np.float32(2)
    return np.concatenate([centre, bottom_right - top_left], axis=-1)


def xyxy_to_xywh(
    boxes: Float[np.ndarray, "*batch 4"],
) -> Float[np.ndarray, "*batch 4"]:
    """Left, top, width and height of boxes (the format of COCO files).

    >>> xyxy_to_xywh(np.array([[3, 7, 7, 13]], np.float32))
    array([[3., 7., 4., 6.]], dtype=float32)
    """
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def xywh_to_xyxy(
    boxes: Float[np.ndarray, "*batch 4"],
) -> Float[np.ndarray, "*batch 4"]:
    """Left, top, right, bottom of boxes given by left, top, width and height.

    >>> xywh_to_xyxy(np.array([[3, 7, 4, 6]], np.float32))
    array([[ 3.,  7.,  7., 13.]], dtype=float32)
    """
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def area(boxes: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    """Width times height; 0 for a box whose right or bottom lies before its left or top.

    >>> area(np.array([[3, 7, 7, 13], [7, 13, 3, 7]], np.float32))
    array([24.,  0.], dtype=float32)
    """
    width = np.maximum(boxes[..., 2] - boxes[..., 0], np.float32(0))
    height = np.maximum(boxes[..., 3] - boxes[..., 1], np.float32(0))
    return np.asarray(width * height)  # of one box too: numpy makes that a scalar


def clip(
    boxes: Float[np.ndarray, "*batch 4"], size_hw: tuple[int, int]
) -> Float[np.ndarray, "*batch 4"]:
    """The part of each box inside an image of the given height and width.

    A box that lies outside collapses onto the border and then has zero area.

    >>> clip(np.array([[-5, 2, 30, 9]], np.float32), (8, 20))
    array([[ 0.,  2., 20.,  8.]], dtype=float32)
    """
    height, width = size_hw
    limits = np.array([width, height, width, height], np.float32)
    return np.asarray(np.minimum(np.maximum(boxes, np.float32(0)), limits))


def pairwise_iou(
    boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every box with every other box, in [0, 1].

    Two boxes of zero area have IoU 0 (not NaN). Every operation is one float32 rounding, and
    exchanging the two boxes of a pair changes no bit. Coordinates must be finite and below 1e19
    in size, where areas overflow. Takes three arrays of n x m.

    >>> first = np.array([[0, 0, 2, 2]], np.float32)
    >>> pairwise_iou(first, np.array([[1, 0, 3, 2], [0, 0, 2, 2]], np.float32)).round(4)
    array([[0.3333, 1.    ]], dtype=float32)
    """
    left, top, right, bottom = np.ascontiguousarray(boxes.T)[:, :, None]
    other_left, other_top, other_right, other_bottom = np.ascontiguousarray(others.T)
    overlap = _shared_length(left, right, other_left, other_right)
    overlap *= _shared_length(top, bottom, other_top, other_bottom)
    union = area(boxes)[:, None] + area(others)[None, :]
    union -= overlap
    np.maximum(union, _TINY, out=union)  # two empty boxes: 0 / tiny = 0, where 0 / 0 is NaN
    overlap /= union
    return overlap


def _shared_length(
    start: Float[np.ndarray, "n 1"],
    end: Float[np.ndarray, "n 1"],
    other_start: Float[np.ndarray, " m"],
    other_end: Float[np.ndarray, " m"],
) -> Float[np.ndarray, "n m"]:
    length = np.asarray(np.minimum(end, other_end))
    length -= np.maximum(start, other_start)  # in place: a fresh array a step takes twice the time
    np.maximum(length, np.float32(0), out=length)
    return length
