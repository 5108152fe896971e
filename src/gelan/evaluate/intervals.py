"""How sure a figure is: the bootstrap over images, mended for small sets.

A test set is a sample of the images that a network will meet. The bootstrap draws as many images
from it, with replacement, again and again, and takes AP of each drawing: how much these differ is
how much AP would differ from one test set to another of the same kind and size (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993). Detections are matched once; a drawing only
counts images.

The interval is the figure plus and minus so many standard deviations of the drawings. It is not
taken from their percentiles, because drawings have repeated images, which raises AP a little, so
their middle lies above the figure. Drawings of few images differ too little; so

* the deviation is that of n - 1 instead of n images, and its multiple is Student's;
* a class whose objects are all in one image is all there or all gone in a drawing, which cannot
  show how else it might have gone: `_unseen` adds what is missing;
* images may come up that are like none seen. Of a kind that takes up a share r of all images, none
  is among n with a chance of (1 - r)^n; a share of up to about 3 / n can stay unseen (the "rule of
  three"), and might have AP 0 or 1. The interval leaves room for it, so that ten perfect images do
  not prove a perfect network;
* of fewer than `FEWEST` images with objects no interval is given.

`benchmarks/evaluation.py --simulate` measures how often intervals hold the mean AP of such sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float64, Int32

from gelan.evaluate.average_precision import Ranking, average_precision, mean_over_classes

FEWEST = 5
"""Images with objects that an interval takes; Student's factor is 2.8 there, and 12.7 of two."""
CELLS = 4_000_000
"""Detections of a class times drawings that are computed together: 16 MB each array."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Where a figure lies with the given probability."""

    low: float
    high: float
    level: float


def drawings(num_images: int, *, replicas: int, seed: int) -> Int32[np.ndarray, "images replicas"]:
    """How often each image is in each drawing; every column sums to the number of images."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, num_images, (replicas, num_images))
    counts = [np.bincount(images, minlength=num_images) for images in drawn]
    return np.stack(counts, axis=1).astype(np.int32)


def replicated(
    ranked: Sequence[Ranking], weights: Int32[np.ndarray, "images replicas"]
) -> Float64[np.ndarray, "classes thresholds replicas"]:
    """AP of each class at each overlap in each drawing; NaN where it has no objects then."""
    num_replicas = weights.shape[1]
    result = []
    for ranking in ranked:
        size = max(1, CELLS // max(1, len(ranking.images)))
        parts = [
            average_precision(ranking, weights[:, start : start + size])
            for start in range(0, num_replicas, size)
        ]
        result.append(np.concatenate(parts, axis=1))
    return np.stack(result)


def headline_replicas(
    ranked: Sequence[Ranking], weights: Int32[np.ndarray, "images replicas"]
) -> tuple[Float64[np.ndarray, " replicas"], Float64[np.ndarray, " replicas"]]:
    """AP and AP50 of each drawing; NaN of one without objects."""
    by_overlap = mean_over_classes(replicated(ranked, weights))
    return by_overlap.mean(axis=0), by_overlap[0]


def images_with_objects(ranked: Sequence[Ranking]) -> int:
    """How many images have something to be found."""
    return len(np.unique(np.concatenate([ranking.object_images for ranking in ranked])))


def headline_intervals(
    ranked: Sequence[Ranking], *, num_images: int, replicas: int, level: float, seed: int
) -> tuple[Interval | None, Interval | None]:
    """Of AP and AP50; None of fewer than two drawings, or `FEWEST` images with objects."""
    seen = images_with_objects(ranked)
    if replicas < 2 or seen < FEWEST:
        return None, None
    once = np.ones((num_images, 1), np.int32)
    weights = np.hstack([once, drawings(num_images, replicas=replicas, seed=seed)])
    by_class = replicated(ranked, weights)
    lone = np.array([len(np.unique(ranking.object_images)) == 1 for ranking in ranked])
    ap, ap50 = (
        _around_first(values, lone, num_images=seen, level=level)
        for values in (by_class.mean(axis=1), by_class[:, 0])
    )
    return ap, ap50


def _around_first(
    by_class: Float64[np.ndarray, "classes columns"],
    lone: Bool[np.ndarray, " classes"],
    *,
    num_images: int,
    level: float,
) -> Interval | None:
    """The interval of the mean of the first column, which is the figure; the rest are drawings."""
    means = mean_over_classes(by_class)
    drawn = spread(means[1:])
    if drawn is None:
        return None
    variance = drawn**2 * num_images / (num_images - 1)
    variance += _unseen(by_class[:, 0], lone, num_images=num_images)
    return interval(float(means[0]), math.sqrt(variance), num_images=num_images, level=level)


def _unseen(
    by_class: Float64[np.ndarray, " classes"],
    lone: Bool[np.ndarray, " classes"],
    *,
    num_images: int,
) -> float:
    """The variance of a mean over classes that drawings cannot show, of classes in one image.

    Each is as uncertain as such classes differ from the mean. A drawing leaves out an image with a
    chance of p = (1 - 1/n)^n, nearly 1/e; that makes the mean vary by p / (1 - p) of it.

    >>> perfect_and_hopeless = np.array([1.0, 0.0, np.nan])
    >>> seen = _unseen(perfect_and_hopeless, np.array([True, True, False]), num_images=1000)
    >>> round(seen, 3)
    0.052
    """
    known = by_class[~np.isnan(by_class)]
    left_out = float((1 - 1 / num_images) ** num_images)
    share = 1 - left_out / (1 - left_out)
    apart = float(np.square(by_class[lone] - known.mean()).sum())
    return share * apart / float(len(known) ** 2)


def spread(replicas: Float64[np.ndarray, " replicas"]) -> float | None:
    """Standard deviation of the drawings that have objects; None of fewer than two.

    >>> spread(np.array([0.0, 2.0, 1.0, np.nan])), spread(np.array([0.5]))
    (1.0, None)
    """
    known = replicas[~np.isnan(replicas)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None


def interval(figure: float, deviation: float, *, num_images: int, level: float) -> Interval:
    """Around a figure from 0 to 1: Student's interval, with room for images like none seen.

    >>> interval(1.0, 0.0, num_images=10, level=0.95)
    Interval(low=0.7411344491069478, high=1.0, level=0.95)
    """
    reach = student(level, num_images - 1) * deviation
    rare = 1 - (1 - level) ** (1 / num_images)
    return Interval(
        low=max(0.0, min(figure - reach, figure * (1 - rare))),
        high=min(1.0, max(figure + reach, figure + (1 - figure) * rare)),
        level=level,
    )


def student(level: float, freedom: int) -> float:
    """How many standard deviations a two-sided interval of Student's t reaches.

    To a thousandth at 95 %, from 4 degrees of freedom on (Abramowitz and Stegun, "Handbook of
    Mathematical Functions", 26.7.5).

    >>> [round(student(0.95, freedom), 3) for freedom in (4, 9, 100)]
    [2.776, 2.262, 1.984]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / math.pow(freedom, power) for power, term in enumerate(terms, start=1))
