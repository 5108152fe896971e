"""How sure a figure is: the bootstrap over images.

A test set is a sample of the images that a network will meet. The bootstrap draws as many images
from it, with replacement, again and again, and takes AP of each drawing: how much these differ is
how much AP would differ on another test set of the same kind and size (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993). Detections are matched once; a drawing only counts images.

The interval is the standard one: the figure plus and minus so many standard deviations of the
drawings. It is not taken from their percentiles, because drawings have repeated images, which
raises AP a little, so their middle lies above the figure; and because a standard deviation needs
fewer drawings. `benchmarks/evaluation.py --simulate`, with 80 classes: of the intervals of 95 %,
92 % (sets of 128 images) and 97 % (1000) held the mean AP of such sets. Small sets have classes
with one or two objects, of which drawings cannot know how much they vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64, Int32

from gelan.evaluate.average_precision import Ranking, average_precision, mean_over_classes

_CELLS = 4_000_000
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
        size = max(1, _CELLS // max(1, len(ranking.images)))
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


def spread(replicas: Float64[np.ndarray, " replicas"]) -> float | None:
    """Standard deviation of the drawings that have objects; None of fewer than two.

    >>> spread(np.array([0.0, 2.0, 1.0, np.nan])), spread(np.array([0.5]))
    (1.0, None)
    """
    known = replicas[~np.isnan(replicas)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None


def interval(
    figure: float | None, deviation: float | None, *, level: float, limits: tuple[float, float]
) -> Interval | None:
    """The standard interval around a figure, cut off at what is possible.

    >>> interval(0.98, 0.02, level=0.95, limits=(0.0, 1.0))
    Interval(low=0.9408007203091989, high=1.0, level=0.95)
    """
    if figure is None or deviation is None:
        return None
    reach = NormalDist().inv_cdf((1 + level) / 2) * deviation
    return Interval(
        low=max(limits[0], figure - reach), high=min(limits[1], figure + reach), level=level
    )
