"""Non-maximum suppression: of many boxes around one object, the best stays.

The definition, which the result meets bit for bit: go through the candidates by falling score,
equal scores in the order given. Drop a candidate if its IoU (`boxes.pairwise_iou`, float32) with a
candidate kept before it, of the same class, is greater than the threshold; otherwise keep it. Stop
when enough are kept.

The candidates are sorted once and then judged in blocks, so only as many are looked at as it takes
to keep the wanted number. Classes are compared, never moved apart by a shift of coordinates: that
trick rounds the boxes, and lets those of neighbouring classes collide where boxes exceed the shift.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from gelan.geometry.boxes import pairwise_iou

_BLOCK = 256
"""Candidates judged together. IoUs of 256 x 256 pairs fit into the cache of one core: at 36,000
candidates, 300 kept, twice as many took 1.3 times as long."""


def non_maximum_suppression(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
    *,
    iou_threshold: float,
    max_detections: int,
    agnostic: bool = False,
) -> Int[np.ndarray, " kept"]:
    """Positions of the candidates that stay, best first, at most `max_detections`.

    `agnostic` lets boxes of different classes suppress each other. The threshold is rounded to
    float32, like the IoUs it is compared with. Memory grows linearly with the candidates.

    Raises:
        ValueError: a box or a score is NaN or infinite.

    >>> boxes = np.array([[0, 0, 9, 9], [0, 0, 10, 10], [0, 0, 10, 10]], np.float32)
    >>> scores, classes = np.array([0.5, 0.8, 0.3], np.float32), np.array([1, 1, 2])
    >>> limits = {"iou_threshold": 0.7, "max_detections": 300}
    >>> non_maximum_suppression(boxes, scores, classes, **limits)
    array([1, 2])
    >>> non_maximum_suppression(boxes, scores, classes, **limits, agnostic=True)
    array([1])
    """
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("boxes and scores must be finite numbers: remove NaN and infinity first")
    groups = np.zeros_like(classes) if agnostic else classes
    threshold = np.float32(iou_threshold)
    order = _falling(scores)
    kept = order[:0]
    for start in range(0, len(order), _BLOCK):
        if len(kept) >= max_detections:
            break
        block = order[start : start + _BLOCK]
        for first in range(0, len(kept), _BLOCK):
            better = kept[first : first + _BLOCK]
            block = block[~_overlaps(better, block, boxes, groups, threshold).any(axis=0)]
        winners = _greedy(_overlaps(block, block, boxes, groups, threshold))
        kept = np.concatenate([kept, block[winners]])
    return kept[:max_detections]


def _falling(scores: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Positions by falling score, equal scores by rising position.

    Score and position are packed into one integer each: sorting 36,000 of those takes 0.14 ms,
    where a stable argsort takes 2.4 ms. Integers order like the floats that share their bits,
    negative floats the other way round.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # + 0: makes -0.0 equal to 0.0
    rising = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys = (~rising).astype(np.int64) << 32 | np.arange(len(scores), dtype=np.int64)
    keys.sort()
    return keys & 0xFFFFFFFF


def _overlaps(
    first: Int[np.ndarray, " n"],
    second: Int[np.ndarray, " m"],
    boxes: Float[np.ndarray, "all 4"],
    groups: Int[np.ndarray, " all"],
    threshold: np.float32,
) -> Bool[np.ndarray, "n m"]:
    """Which candidates of the first list would suppress which of the second."""
    overlaps = pairwise_iou(boxes[first], boxes[second]) > threshold
    overlaps &= groups[first][:, None] == groups[second][None, :]
    return overlaps


def _greedy(overlaps: Bool[np.ndarray, "n n"]) -> Bool[np.ndarray, " n"]:
    """Who stays when the best chooses first; candidates in falling order."""
    stays = np.ones(len(overlaps), np.bool_)
    for position in range(len(overlaps)):
        if stays[position]:
            stays[position + 1 :] &= ~overlaps[position, position + 1 :]
    return stays
