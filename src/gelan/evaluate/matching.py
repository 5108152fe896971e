"""Which detection stands for which object.

Two ways of matching: that of COCO, where detections choose in order of their scores and only
objects of their own class (for AP); and one to one by overlap alone, whatever the classes (for the
confusion matrix).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gelan.evaluate.results import Pool

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The overlaps over which COCO's AP is a mean; made as in its tools, so that bits agree."""
NONE = -1
"""Stands for "no object" where positions of objects are listed."""
_CHUNK = 1_000_000
"""Pairs whose overlaps are computed together: 100 MB."""


class Overlaps(NamedTuple):
    """Pairs of a detection and an object in one image, in order of detections."""

    detections: Int64[np.ndarray, " pairs"]
    """Positions in `Pool.detections`."""
    objects: Int64[np.ndarray, " pairs"]
    """Positions in `Pool.objects`."""
    ious: Float64[np.ndarray, " pairs"]
    """Intersection over union; for a crowd, the share of the detection that lies in it."""

    def where(self, chosen: Bool[np.ndarray, " pairs"]) -> Overlaps:
        """Those of a mask."""
        return Overlaps(self.detections[chosen], self.objects[chosen], self.ious[chosen])


class Matches(NamedTuple):
    """What COCO's matching says of each detection, at each overlap that is asked for."""

    objects: Int64[np.ndarray, "thresholds detections"]
    """Position of the object that it found, or `NONE`."""
    counted: Bool[np.ndarray, "thresholds detections"]
    """False for what is neither right nor wrong: it lies in a crowd, or is one too many."""


def overlaps(pool: Pool, *, at_least: float) -> Overlaps:
    """All pairs that overlap by so much or more, of any classes."""
    counts = np.bincount(pool.objects.images, minlength=len(pool.sources))
    starts = np.cumsum(counts) - counts
    partners = counts[pool.detections.images]
    chunks = (np.cumsum(partners) - 1) // _CHUNK
    parts = []
    for members in np.split(np.arange(len(partners)), np.flatnonzero(np.diff(chunks)) + 1):
        detections = np.repeat(members, partners[members])
        nth = np.arange(len(detections)) - np.repeat(
            np.cumsum(partners[members]) - partners[members], partners[members]
        )
        objects = starts[pool.detections.images[detections]] + nth
        ious = _ious(pool, detections, objects)
        parts.append(Overlaps(detections, objects, ious).where(ious >= at_least))
    return Overlaps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _ious(
    pool: Pool, detections: Int64[np.ndarray, " pairs"], objects: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " pairs"]:
    """Overlaps in double precision, in the order of operations of the COCO tools."""
    found = np.ascontiguousarray(pool.detections.boxes.T)[:, detections]
    truth = np.ascontiguousarray(pool.objects.boxes.T)[:, objects]
    width = np.minimum(found[2], truth[2]) - np.maximum(found[0], truth[0])
    height = np.minimum(found[3], truth[3]) - np.maximum(found[1], truth[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    whole = (found[2] - found[0]) * (found[3] - found[1])
    union = whole + (truth[2] - truth[0]) * (truth[3] - truth[1]) - shared
    ious = np.zeros(len(shared))
    against = np.where(pool.objects.crowd[objects], whole, union)
    np.divide(shared, against, out=ious, where=shared > 0)
    return ious


def match(
    pool: Pool,
    pairs: Overlaps,
    *,
    thresholds: Float64[np.ndarray, " thresholds"],
    max_detections: int,
) -> Matches:
    """COCO's matching, the same as pycocotools' for objects of all sizes.

    Of each class in each image, only the best `max_detections` count. Best score first, each takes
    the free object of its class that it overlaps most, if by the threshold or more (the later of
    equals). Where there is none, a crowd of its class that it lies in takes it out of the count; a
    crowd takes any number. `pairs` must hold all that overlap by the least threshold.
    """
    num_detections, num_objects = len(pool.detections.images), len(pool.objects.images)
    found = np.full((len(thresholds), num_detections), NONE, np.int64)
    free = np.ones((len(thresholds), num_objects), np.bool_)
    allowed = _ranks(pool) < max_detections
    same_class = pool.detections.classes[pairs.detections] == pool.objects.classes[pairs.objects]
    eligible = same_class & allowed[pairs.detections] & (pairs.ious >= thresholds.min())
    candidates = _preferred_first(pool, pairs.where(eligible))
    crowd = pool.objects.crowd[candidates.objects]
    for choices in _turns(pool, candidates.detections):
        detections, objects = candidates.detections[choices], candidates.objects[choices]
        takes = candidates.ious[choices] >= thresholds[:, None]
        takes &= (found[:, detections] == NONE) & (free[:, objects] | crowd[choices])
        levels, which = np.nonzero(takes)
        found[levels, detections[which]] = objects[which]
        free[levels, objects[which]] = False
    in_crowd = np.append(pool.objects.crowd, False)[found]  # NONE is the last place
    return Matches(np.where(in_crowd, NONE, found), ~in_crowd & allowed)


def _ranks(pool: Pool) -> Int64[np.ndarray, " detections"]:
    """How many better detections of the same class its image has."""
    groups = pool.detections.images * pool.num_classes + pool.detections.classes
    return _nth_of_its_kind(groups)


def _nth_of_its_kind(kinds: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How many equal values stand before each.

    >>> _nth_of_its_kind(np.array([7, 3, 7, 7, 3]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(kinds, kind="stable")
    ordered = kinds[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    lengths = np.diff(starts, append=len(kinds))
    nth = np.empty(len(kinds), np.int64)
    nth[order] = np.arange(len(kinds)) - np.repeat(starts, lengths)
    return nth


def _preferred_first(pool: Pool, pairs: Overlaps) -> Overlaps:
    """The pairs of each detection in the order in which it would take the objects."""
    crowd = pool.objects.crowd[pairs.objects]
    order = np.lexsort((-pairs.objects, -pairs.ious, crowd, pairs.detections))
    return Overlaps(*(column[order] for column in pairs))


def _turns(
    pool: Pool, detections: Int64[np.ndarray, " pairs"]
) -> Iterator[Int64[np.ndarray, " choices"]]:
    """Positions of pairs that can be decided together, in the order of COCO's matching.

    All images and classes take their turns side by side: first the best detection of each asks for
    its first choice, its second and so on, then the second best does. So 36,000 objects take some
    hundred steps, not a loop over half a million detections.
    """
    asking, first, counts = np.unique(detections, return_index=True, return_counts=True)
    groups = pool.detections.images[asking] * pool.num_classes + pool.detections.classes[asking]
    turns = _nth_of_its_kind(groups)
    order = np.argsort(turns, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(turns))[:-1]):
        for choice in range(counts[members].max(initial=0)):
            yield first[members[counts[members] > choice]] + choice


def one_to_one(pairs: Overlaps) -> Overlaps:
    """The pairs that stay when the greatest overlap chooses first and nobody is in two pairs.

    Of equal overlaps the first pair given wins.
    """
    order = np.argsort(-pairs.ious, kind="stable")
    rest = Overlaps(*(column[order] for column in pairs))
    chosen = []
    while len(rest.ious):
        # A pair that is the best left for both its members is in the result, whatever comes later.
        best = np.zeros((2, len(rest.ious)), np.bool_)
        best[0, np.unique(rest.detections, return_index=True)[1]] = True
        best[1, np.unique(rest.objects, return_index=True)[1]] = True
        winners = rest.where(best[0] & best[1])
        chosen.append(winners)
        rest = rest.where(
            ~np.isin(rest.detections, winners.detections) & ~np.isin(rest.objects, winners.objects)
        )
    if not chosen:
        return pairs
    return Overlaps(*(np.concatenate(column) for column in zip(*chosen, strict=True)))
