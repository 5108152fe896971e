"""Average precision from matches: the arithmetic of COCO, for any number of weightings at once.

The published figures come from `coco`, where the library for them is asked. This is for what has
to be computed thousands of times, or for matches that never happened: bootstrap replicas, and
what AP would be without an error. Both agree to rounding, which the tests show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, Shaped

from gelan.evaluate.matching import NONE, Matches
from gelan.evaluate.results import Pool

RECALLS = np.linspace(0.0, 1.0, 101)
"""Where precision is read off; made as in the COCO tools, so that bits agree."""
_EPSILON = np.spacing(1)
"""Added to the number of detections, as the COCO tools do."""


class Ranking(NamedTuple):
    """The detections of one class over all images, best first, and which of them are right."""

    images: Int64[np.ndarray, " detections"]
    scores: Float64[np.ndarray, " detections"]
    hits: Bool[np.ndarray, "thresholds detections"]
    ignored: Bool[np.ndarray, "thresholds detections"]
    """Neither right nor wrong."""
    object_images: Int64[np.ndarray, " objects"]
    """The image of each object that should be found."""


def rankings(pool: Pool, matches: Matches) -> list[Ranking]:
    """One for each class; detections of equal scores in the order of the images."""
    detections, objects = pool.detections, pool.objects
    order = np.argsort(-detections.scores, kind="stable")
    order = order[np.argsort(detections.classes[order], kind="stable")]
    order = order[np.asarray(matches.counted.any(axis=0))[order]]
    starts = np.searchsorted(detections.classes[order], np.arange(1, pool.num_classes))
    return [
        Ranking(
            images=detections.images[members],
            scores=detections.scores[members],
            hits=matches.objects[:, members] != NONE,
            ignored=~matches.counted[:, members],
            object_images=objects.images[(objects.classes == index) & ~objects.crowd],
        )
        for index, members in enumerate(np.split(order, starts))
    ]


def interpolated(
    found: Shaped[np.ndarray, "hits replicas"],
    seen: Shaped[np.ndarray, "hits replicas"],
    num_objects: Shaped[np.ndarray, " replicas"],
) -> Float64[np.ndarray, " replicas"]:
    """AP of a class from its right detections: the mean of precision at 101 recalls.

    `found` counts the right detections up to and including each, `seen` all detections up to it.
    Precision at a recall is the best at it or beyond. NaN where there are no objects.

    One of two objects is found first, the other after a wrong detection:

    >>> found, seen = np.array([[1], [2]]), np.array([[1], [3]])
    >>> interpolated(found, seen, np.array([2])).round(4)
    array([0.835])
    """
    # Rows are hits and columns replicas: each step below goes over whole rows at once.
    precision = found / (seen + _EPSILON)
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = found / np.maximum(num_objects, 1)
    points = np.diff(_reached(recall), axis=0, prepend=0)
    mean = (precision * points).sum(axis=0) / len(RECALLS)
    return np.where(num_objects > 0, mean, np.nan)


def _reached(recall: Float64[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """How many of `RECALLS` are no greater: `searchsorted` in half the time.

    >>> _reached(np.array([0.0, 0.0999, 0.1, 1.0]))
    array([  1,  10,  11, 101])
    """
    last = (recall * 100 + 1e-9).astype(np.int64)  # right, or one too many: 0.57 < RECALLS[57]
    last -= RECALLS[last] > recall
    return last + 1


def average_precision(
    ranking: Ranking, weights: Int32[np.ndarray, "images replicas"]
) -> Float64[np.ndarray, "thresholds replicas"]:
    """AP of a class when each image counts so many times; NaN where it has no objects then.

    The same, to rounding, as evaluating a data set in which the images are repeated so often, if
    no two detections have the same score.
    """
    num_objects = weights[ranking.object_images].sum(axis=0)
    counted = counts(ranking, weights)
    return np.stack([interpolated(found, seen, num_objects) for found, seen in counted])


def counts(
    ranking: Ranking, weights: Int32[np.ndarray, "images replicas"]
) -> Iterator[tuple[Int32[np.ndarray, "hits replicas"], Int32[np.ndarray, "hits replicas"]]]:
    """For each overlap, right detections and all that count, up to and including each right one."""
    every = np.cumsum(weights[ranking.images], axis=0, dtype=np.int32)
    for hits, ignored in zip(ranking.hits, ranking.ignored, strict=True):
        at, left_out = np.flatnonzero(hits), np.flatnonzero(ignored)
        found = np.cumsum(weights[ranking.images[at]], axis=0, dtype=np.int32)
        seen = every[at]
        if len(left_out):
            dropped = np.cumsum(weights[ranking.images[left_out]], axis=0, dtype=np.int32)
            before = np.searchsorted(left_out, at)
            seen -= np.concatenate([np.zeros_like(dropped[:1]), dropped])[before]
        yield found, seen


def mean_over_classes(
    values: Float64[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "*rest"]:
    """The mean along the first axis of those that are not NaN; NaN where all are.

    >>> mean_over_classes(np.array([[0.5, np.nan], [1.0, np.nan]]))
    array([0.75,  nan])
    """
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known.sum(axis=0))
