"""Whether two networks differ: what would be seen if each image had exchanged their results.

If two networks are equally good, it was chance which of them did what on an image. So the results
on an image can be exchanged, in any choice of images, and the difference of AP between the two
mixtures is as likely as the one that was seen (a paired permutation test: Fisher, "The Design of
Experiments", 1935). p is the share of choices in which it is at least as great. This needs no
large number of images: with 5 there are 32 choices, so p is at least 2 / 32, and the test says
that they are too few, instead of being wrong.

The interval of the difference ends where the same choices would just no longer be surprised: it
holds 0 exactly if p is above 0.05 (at a level of 95 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32

from gelan.evaluate.average_precision import Ranking, counts, interpolated, mean_over_classes
from gelan.evaluate.intervals import CELLS

_ROUNDING = 1e-9
_DIGITS = 12
"""Of gains, which are compared for being equal: sums in another order differ in the 16th."""


def fewest_images(level: float) -> int:
    """How many images it takes that p can be as low as 1 - level.

    >>> fewest_images(0.95), fewest_images(0.99)
    (6, 8)
    """
    return 1 + math.ceil(math.log2(fewest_exchanges(level)))


def fewest_exchanges(level: float) -> int:
    """How many choices it takes that p can be as low as 1 - level.

    >>> fewest_exchanges(0.95)
    20
    """
    return math.ceil(1 / (1 - level) - _ROUNDING)


def exchanges(
    num_images: int, *, replicas: int, seed: int
) -> Int32[np.ndarray, "images exchanges"]:
    """Which images are exchanged (1) or stay (0); nothing is exchanged in the first column.

    All choices where there are no more than `replicas`, of two that mirror each other only one;
    random ones otherwise.

    >>> exchanges(3, replicas=100, seed=0)
    array([[0, 0, 0, 0],
           [0, 1, 0, 1],
           [0, 0, 1, 1]], dtype=int32)
    """
    free = num_images - 1
    if free < 31 and 2**free <= replicas:
        chosen = np.arange(2**free) >> np.arange(free)[:, None] & 1
        return np.concatenate([np.zeros((1, 2**free)), chosen]).astype(np.int32)
    chosen = np.random.default_rng(seed).integers(0, 2, (num_images, replicas), np.int32)
    chosen[:, 0] = 0
    return chosen


def exchanged_gains(
    first: Sequence[Ranking],
    second: Sequence[Ranking],
    exchanged: Int32[np.ndarray, "images exchanges"],
) -> tuple[Float64[np.ndarray, " exchanges"], Float64[np.ndarray, " exchanges"]]:
    """AP and AP50 of the first minus those of the second, after each choice of exchanges.

    NaN without objects.
    """
    weights = np.concatenate([1 - exchanged, exchanged])
    by_class = np.stack(
        [
            _gains(_together(one, other, num_images=len(exchanged)), weights)
            for one, other in zip(first, second, strict=True)
        ]
    )
    by_overlap = mean_over_classes(by_class)
    return by_overlap.mean(axis=0).round(_DIGITS), by_overlap[0].round(_DIGITS)


def _gains(
    together: Ranking, weights: Int32[np.ndarray, "images exchanges"]
) -> Float64[np.ndarray, "thresholds exchanges"]:
    """AP of one mixture of a class minus that of the other; NaN without objects."""
    size = max(1, CELLS // max(1, len(together.images)))
    starts = range(0, weights.shape[1], size)
    return np.concatenate(
        [_gains_together(together, weights[:, start : start + size]) for start in starts], axis=1
    )


def _gains_together(
    together: Ranking, weights: Int32[np.ndarray, "images exchanges"]
) -> Float64[np.ndarray, "thresholds exchanges"]:
    # What is not in the one mixture is in the other, which so needs no counting of its own.
    everything = np.ones((len(weights), 1), np.int32)
    num_objects = weights[together.object_images].sum(axis=0)
    gains = []
    for (found, seen), (all_found, all_seen) in zip(
        counts(together, weights), counts(together, everything), strict=True
    ):
        own = interpolated(found, seen, num_objects)
        gains.append(own - interpolated(all_found - found, all_seen - seen, num_objects))
    return np.stack(gains)


def _together(one: Ranking, other: Ranking, *, num_images: int) -> Ranking:
    """The detections of two networks in one ranking; those of the other in images of their own."""
    scores = np.concatenate([one.scores, other.scores])
    images = np.concatenate([one.images, other.images])
    order = np.lexsort((images, -scores))  # equal scores in the order of images, as in `rankings`
    own = np.concatenate([one.images, other.images + num_images])
    return Ranking(
        images=own[order],
        scores=scores[order],
        hits=np.concatenate([one.hits, other.hits], axis=1)[:, order],
        ignored=np.concatenate([one.ignored, other.ignored], axis=1)[:, order],
        object_images=np.concatenate([one.object_images, other.object_images + num_images]),
    )


def chance(gains: Float64[np.ndarray, " exchanges"]) -> float:
    """Share of the choices with a gain as great as the first, which is the one that was seen.

    >>> chance(np.array([0.2, 0.1, -0.2, 0.0]))
    0.5
    """
    sizes = np.abs(gains)
    return float(np.mean(sizes >= sizes[0]))


def surprise(gains: Float64[np.ndarray, " exchanges"], *, level: float) -> float:
    """The greatest gain that is no surprise: more than 1 - level of the choices reach it.

    >>> surprise(np.arange(100) / 100, level=0.95)
    0.94
    """
    sizes = np.sort(np.abs(gains))[::-1]
    return float(sizes[int((1 - level) * len(sizes) + _ROUNDING)])
